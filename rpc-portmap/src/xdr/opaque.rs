//! Counted bytes and counted text.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use super::{DecodeError, Decoder, LengthError, Xdr};

/// At most `MAX` uninterpreted bytes: `opaque name<MAX>` (§4.10).
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Opaque<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Opaque<MAX> {
    /// Takes bytes, if there are at most `MAX`.
    ///
    /// # Errors
    /// [`LengthError`] if there are more than `MAX`.
    pub fn new(bytes: Vec<u8>) -> Result<Self, LengthError> {
        fits(bytes.len(), MAX)?;
        Ok(Self(bytes))
    }

    /// Returns the bytes.
    pub fn into_inner(self) -> Vec<u8> {
        self.0
    }
}

impl<const MAX: usize> Deref for Opaque<MAX> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> Xdr for Opaque<MAX> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_opaque(&self.0, out);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.opaque(MAX).map(|bytes| Self(bytes.to_vec()))
    }
}

/// At most `MAX` bytes of text: `string name<MAX>` (§4.11). The RFC has ASCII; all of UTF-8 is
/// accepted.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Takes a string, if it has at most `MAX` bytes.
    ///
    /// # Errors
    /// [`LengthError`] if it has more than `MAX` bytes.
    pub fn new(text: impl Into<String>) -> Result<Self, LengthError> {
        let text = text.into();
        fits(text.len(), MAX)?;
        Ok(Self(text))
    }

    /// Truncates `text` to the longest prefix that fits.
    pub fn truncated(text: &str) -> Self {
        // `str::floor_char_boundary` is younger than the compilers this crate supports.
        let end = (0..=MAX.min(text.len()))
            .rev()
            .find(|&index| text.is_char_boundary(index))
            .unwrap_or_default();
        Self(text.split_at(end).0.to_owned())
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> FromStr for Text<MAX> {
    type Err = LengthError;

    fn from_str(text: &str) -> Result<Self, LengthError> {
        Self::new(text)
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const MAX: usize> Xdr for Text<MAX> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_opaque(self.0.as_bytes(), out);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let text = str::from_utf8(from.opaque(MAX)?).map_err(|_| DecodeError::NotText)?;
        Ok(Self(text.to_owned()))
    }
}

/// Appends counted bytes and their padding (§4.10).
///
/// # Panics
/// Panics at 4 GiB or more, which a length field cannot express.
pub fn put_opaque(bytes: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(bytes.len()).expect("messages are far smaller than 4 GiB");
    length.encode(out);
    put_fixed(bytes, out);
}

/// Appends the display form of `value` as a counted string, without allocating it.
///
/// # Panics
/// As [`put_opaque`].
pub fn put_display(value: impl fmt::Display, out: &mut Vec<u8>) {
    use std::io::Write as _;

    let start = out.len();
    0_u32.encode(out);
    // Writing to a vector does not fail; a value whose display fails is cut short.
    let _ = write!(out, "{value}");
    let written = out.len() - start - 4;
    let length = u32::try_from(written).expect("messages are far smaller than 4 GiB");
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    put_residual(written, out);
}

pub(super) fn put_fixed(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(bytes);
    put_residual(bytes.len(), out);
}

/// Appends the zeros that pad `length` bytes.
fn put_residual(length: usize, out: &mut Vec<u8>) {
    let residual = length.next_multiple_of(4) - length;
    out.extend(std::iter::repeat_n(0, residual));
}

fn fits(length: usize, max: usize) -> Result<(), LengthError> {
    if length > max {
        return Err(LengthError { length, max });
    }
    Ok(())
}
