//! Decoding of a datagram into one of the six packets.

use super::{
    data::{Ack, Data},
    error::{DecodeError, Error},
    opcode::Opcode,
    request::{Direction, Request},
};

/// A decoded datagram, borrowing its bytes.
///
/// An OACK stays undecoded: its options are judged against the request by the client that sent it
/// ([`Oack::decode`](super::Oack::decode)).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Packet<'a> {
    /// RRQ or WRQ.
    Request(Request<'a>),
    /// DATA.
    Data(Data<'a>),
    /// ACK.
    Ack(Ack),
    /// ERROR.
    Error(Error<'a>),
    /// OACK: the bytes after the opcode.
    Oack(&'a [u8]),
}

impl<'a> Packet<'a> {
    /// Decodes a datagram. Never panics, never allocates.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not one of the six packets.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        let (number, body) = datagram
            .split_first_chunk()
            .ok_or(DecodeError::Truncated { packet: "TFTP" })?;
        let number = u16::from_be_bytes(*number);
        Ok(
            match Opcode::from_wire(number).ok_or(DecodeError::UnknownOpcode(number))? {
                Opcode::Rrq => Self::Request(Request::decode(Direction::Read, body)?),
                Opcode::Wrq => Self::Request(Request::decode(Direction::Write, body)?),
                Opcode::Data => Self::Data(Data::decode(body)?),
                Opcode::Ack => Self::Ack(Ack::decode(body)?),
                Opcode::Error => Self::Error(Error::decode(body)?),
                Opcode::Oack => Self::Oack(body),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Oack;
    use proptest::prelude::*;

    #[test]
    fn datagrams_of_no_to_three_bytes_are_truncated() {
        assert_eq!(
            Packet::decode(b""),
            Err(DecodeError::Truncated { packet: "TFTP" })
        );
        assert_eq!(
            Packet::decode(b"\x00"),
            Err(DecodeError::Truncated { packet: "TFTP" })
        );
        assert_eq!(
            Packet::decode(b"\x00\x04"),
            Err(DecodeError::Truncated { packet: "ACK" })
        );
        assert_eq!(
            Packet::decode(b"\x00\x03\x00"),
            Err(DecodeError::Truncated { packet: "DATA" })
        );
    }

    #[test]
    fn an_unknown_opcode_is_named() {
        assert_eq!(
            Packet::decode(b"\x00\x09x"),
            Err(DecodeError::UnknownOpcode(9))
        );
        assert_eq!(
            Packet::decode(b"\x00\x00x"),
            Err(DecodeError::UnknownOpcode(0))
        );
    }

    fn encode(packet: &Packet<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        match packet {
            Packet::Request(request) => request.encode(&mut out),
            Packet::Data(data) => data.encode(&mut out),
            Packet::Ack(ack) => ack.encode(&mut out),
            Packet::Error(error) => error.encode(&mut out),
            Packet::Oack(body) => match Oack::decode(body) {
                Ok(oack) => oack.encode(&mut out),
                Err(_) => out.extend_from_slice(&[&[0, 6], *body].concat()),
            },
        }
        out
    }

    proptest! {
        /// A decoded packet encodes and decodes to the same value.
        #[test]
        fn any_bytes_are_refused_or_survive_the_round_trip(
            opcode in 0_u8..9,
            body in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>(), b'0'..=b'9'], 0..80),
        ) {
            let datagram = [&[0, opcode], body.as_slice()].concat();
            if let Ok(packet) = Packet::decode(&datagram) {
                let written = encode(&packet);
                let again = Packet::decode(&written).expect("what we write can be read");
                if let Packet::Error(error) = again {
                    // The text is cut on its way out; the code is not.
                    let Packet::Error(first) = packet else { panic!("an error stays an error") };
                    prop_assert!(error.code == first.code && first.text.starts_with(error.text));
                } else if !matches!(packet, Packet::Oack(_)) {
                    prop_assert_eq!(again, packet);
                }
            }
        }
    }
}
