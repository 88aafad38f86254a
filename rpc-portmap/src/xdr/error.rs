//! Errors of encoding and decoding.

use super::MAX_DEPTH;

/// The reason why bytes are not the expected value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("the data ends {missing} bytes before the value does")]
    Truncated {
        /// The number of missing bytes, as far as is known.
        missing: usize,
    },
    /// A length field exceeds the protocol's bound.
    #[error("a length of {length} where at most {max} is allowed")]
    TooLong {
        /// The value of the field.
        length: u32,
        /// The bound.
        max: usize,
    },
    /// A number that is not one of the values of an enumeration or the arms of a union.
    #[error("{value} is not a {what}")]
    UnknownValue {
        /// The name of the type.
        what: &'static str,
        /// The number on the wire.
        value: u32,
    },
    /// A string that is not UTF-8 (of which the RFC's ASCII is a part).
    #[error("a string that is not UTF-8")]
    NotText,
    /// Values nested deeper than any protocol needs.
    #[error("nested deeper than {} levels", MAX_DEPTH)]
    TooDeep,
}

/// The value does not fit into the bounds of its type.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{length} bytes where at most {max} are allowed")]
#[non_exhaustive]
pub struct LengthError {
    /// The length of the value, in bytes or elements.
    pub length: usize,
    /// The bound, in the same unit.
    pub max: usize,
}
