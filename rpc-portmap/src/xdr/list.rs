//! Counted arrays and linked lists.

use std::ops::Deref;

use super::{DecodeError, Decoder, LengthError, Xdr};

/// A linked list in the form of the binding protocols: the number 1 before each element, 0 after
/// the last one (optional data whose last field is the rest of the list, §4.19).
///
/// The list is read in a loop, and its memory grows with the bytes received, not with a count.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "closed: a list is its elements")]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<T: Xdr> Xdr for List<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        for value in &self.0 {
            true.encode(out);
            value.encode(out);
        }
        false.encode(out);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.nested(|from| {
            let mut values = Vec::new();
            while bool::decode(from)? {
                values.push(T::decode(from)?);
            }
            Ok(Self(values))
        })
    }
}

/// At most `MAX` values, preceded by their number: `type name<MAX>` (§4.13).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Array<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Array<T, MAX> {
    /// Takes values, if there are at most `MAX`.
    ///
    /// # Errors
    /// [`LengthError`] if there are more than `MAX`.
    pub fn new(values: Vec<T>) -> Result<Self, LengthError> {
        if values.len() > MAX {
            return Err(LengthError {
                length: values.len(),
                max: MAX,
            });
        }
        Ok(Self(values))
    }
}

impl<T, const MAX: usize> Default for Array<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for Array<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Xdr, const MAX: usize> Xdr for Array<T, MAX> {
    fn encode(&self, out: &mut Vec<u8>) {
        let count = u32::try_from(self.0.len()).expect("messages are far smaller than 4 GiB");
        count.encode(out);
        for value in &self.0 {
            value.encode(out);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let count = from.length(MAX)?;
        from.nested(|from| {
            // Not `with_capacity`: the count is the peer's claim, the elements are what arrived.
            let mut values = Vec::new();
            for _ in 0..count {
                values.push(T::decode(from)?);
            }
            Ok(Self(values))
        })
    }
}
