//! The two bytes that open every packet.

/// The kind of a packet ([RFC 1350 §5](https://www.rfc-editor.org/rfc/rfc1350#section-5);
/// OACK: [RFC 2347](https://www.rfc-editor.org/rfc/rfc2347)).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u16)]
#[non_exhaustive]
pub enum Opcode {
    /// Read request.
    Rrq = 1,
    /// Write request.
    Wrq = 2,
    /// A block of the file.
    Data = 3,
    /// A block acknowledged.
    Ack = 4,
    /// The end of a transfer, with a reason.
    Error = 5,
    /// The options that the server accepts.
    Oack = 6,
}

impl Opcode {
    /// Returns the opcode with this number; `None` if it is not one of the six.
    pub const fn from_wire(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Rrq),
            2 => Some(Self::Wrq),
            3 => Some(Self::Data),
            4 => Some(Self::Ack),
            5 => Some(Self::Error),
            6 => Some(Self::Oack),
            _ => None,
        }
    }

    /// Returns the two bytes on the wire, in network byte order.
    pub const fn to_wire(self) -> [u8; 2] {
        (self as u16).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_numbers_are_opcodes_and_no_other() {
        for number in 0..=u16::MAX {
            match Opcode::from_wire(number) {
                Some(opcode) => assert_eq!(opcode.to_wire(), number.to_be_bytes()),
                None => assert!(number == 0 || number > 6, "{number} was refused"),
            }
        }
    }
}
