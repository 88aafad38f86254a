//! What can be wrong with bytes that should be XDR.

/// Why bytes are not the value that was expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("the data ends {missing} bytes before the value does")]
    Truncated {
        /// How many bytes more the value needs, as far as is known.
        missing: usize,
    },
    /// A length field says more than the protocol allows.
    #[error("a length of {length} where at most {max} is allowed")]
    TooLong {
        /// What the field says.
        length: u32,
        /// What is allowed.
        max: usize,
    },
    /// A number that is none of the values of an enumeration or the arms of a union.
    #[error("{value} is no {what}")]
    UnknownValue {
        /// The name of the type.
        what: &'static str,
        /// The number on the wire.
        value: u32,
    },
    /// A string that is not UTF-8 (of which the RFC's ASCII is a part).
    #[error("a string that is not text")]
    NotText,
    /// Values inside values inside values, deeper than any protocol needs.
    #[error("nested deeper than {} levels", super::MAX_DEPTH)]
    TooDeep,
}

/// A value does not fit into the bounds of its type.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{length} bytes where at most {max} are allowed")]
#[non_exhaustive]
pub struct LengthError {
    /// How long it is, in bytes or elements.
    pub length: usize,
    /// How long it may be.
    pub max: usize,
}
