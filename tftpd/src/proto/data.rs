//! DATA and ACK: the two packets of the data phase.

use super::{error::DecodeError, opcode::Opcode};

/// Bytes of a DATA packet before its payload.
pub const DATA_HEADER: usize = 4;

/// A DATA packet: one block of the file ([RFC 1350 §5](https://www.rfc-editor.org/rfc/rfc1350#section-5), figure 5-2).
/// A payload shorter than the block size ends the transfer (§6).
///
/// ```text
///  2 bytes    2 bytes   n bytes
/// ┌──────────┬─────────┬─────────┐
/// │ opcode 3 │ block # │ payload │
/// └──────────┴─────────┴─────────┘
/// ```
///
/// Closed: RFC 1350 fixes the fields.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "closed: RFC 1350 fixes the fields"
)]
pub struct Data<'a> {
    /// The low 16 bits of the block's number; the first block is 1.
    pub block: u16,
    /// The bytes of the block: 0 to blksize.
    pub payload: &'a [u8],
}

impl<'a> Data<'a> {
    /// Decodes the bytes after the opcode.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] without a block number.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let (block, payload) = body
            .split_first_chunk()
            .ok_or(DecodeError::Truncated { packet: "DATA" })?;
        Ok(Self {
            block: u16::from_be_bytes(*block),
            payload,
        })
    }

    /// Appends the packet to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&Self::header(self.block));
        out.extend_from_slice(self.payload);
    }

    /// Returns the bytes before the payload of block `block`, for a caller that assembles a window
    /// in place. `block` is the number on the wire.
    pub const fn header(block: u16) -> [u8; DATA_HEADER] {
        let [op0, op1] = Opcode::Data.to_wire();
        let [block0, block1] = block.to_be_bytes();
        [op0, op1, block0, block1]
    }
}

/// An acknowledgement ([RFC 1350 §5](https://www.rfc-editor.org/rfc/rfc1350#section-5), figure 5-3).
///
/// ```text
///  2 bytes    2 bytes
/// ┌──────────┬─────────┐
/// │ opcode 4 │ block # │
/// └──────────┴─────────┘
/// ```
///
/// Closed: RFC 1350 fixes the fields.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "closed: RFC 1350 fixes the fields"
)]
pub struct Ack {
    /// The low 16 bits of the last block that arrived in order.
    pub block: u16,
}

impl Ack {
    /// Decodes the bytes after the opcode. Trailing bytes are ignored: clients of Windows
    /// Deployment Services send one more.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] without a block number.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (block, _) = body
            .split_first_chunk()
            .ok_or(DecodeError::Truncated { packet: "ACK" })?;
        Ok(Self {
            block: u16::from_be_bytes(*block),
        })
    }

    /// Appends the packet to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&Opcode::Ack.to_wire());
        out.extend_from_slice(&self.block.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_reads_back_as_it_was_written_empty_or_not() {
        for payload in [&b""[..], b"abc"] {
            let mut bytes = Vec::new();
            Data {
                block: 0x0102,
                payload,
            }
            .encode(&mut bytes);
            assert_eq!(bytes.get(..4), Some(&[0, 3, 1, 2][..]));
            assert_eq!(
                Data::decode(&bytes[2..]),
                Ok(Data {
                    block: 0x0102,
                    payload
                })
            );
        }
        assert_eq!(
            Data::decode(b"\x01"),
            Err(DecodeError::Truncated { packet: "DATA" })
        );
    }

    #[test]
    fn an_ack_of_five_bytes_counts_as_one_of_four() {
        let mut bytes = Vec::new();
        Ack { block: 7 }.encode(&mut bytes);
        assert_eq!(bytes, [0, 4, 0, 7]);
        assert_eq!(Ack::decode(&[0, 7]), Ok(Ack { block: 7 }));
        assert_eq!(Ack::decode(&[0, 7, 16]), Ok(Ack { block: 7 }));
        assert_eq!(
            Ack::decode(&[7]),
            Err(DecodeError::Truncated { packet: "ACK" })
        );
    }
}
