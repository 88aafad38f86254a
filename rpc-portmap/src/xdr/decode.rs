//! The cursor over XDR data.

use super::{DecodeError, MAX_DEPTH};

/// A cursor over borrowed bytes.
///
/// ```
/// use rpc_portmap::xdr::Decoder;
///
/// let mut from = Decoder::new(b"\0\0\0\x03abc\0\0\0\0\x07");
/// assert_eq!(from.opaque(16)?, b"abc");
/// assert_eq!(from.u32()?, 7);
/// assert_eq!(from.remaining(), b"");
/// # Ok::<(), rpc_portmap::xdr::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    depth: u32,
}

impl<'a> Decoder<'a> {
    /// Builds a cursor at the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            depth: 0,
        }
    }

    /// Reads an unsigned integer (§4.2).
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        let (number, rest) = self.rest.split_first_chunk().ok_or(self.short_of(4))?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*number))
    }

    /// Reads an unsigned hyper integer (§4.5).
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        let (number, rest) = self.rest.split_first_chunk().ok_or(self.short_of(8))?;
        self.rest = rest;
        Ok(u64::from_be_bytes(*number))
    }

    /// Reads opaque data of a fixed length and its padding (§4.9). The padding should be zero, but
    /// some senders do not clear it, and it is ignored.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn fixed(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let padded = length
            .checked_next_multiple_of(4)
            .ok_or(self.short_of(length))?;
        let (unit, rest) = self
            .rest
            .split_at_checked(padded)
            .ok_or(self.short_of(padded))?;
        self.rest = rest;
        Ok(unit.split_at(length).0)
    }

    /// Reads opaque data of a variable length, at most `max` bytes (§4.10).
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] or [`DecodeError::Truncated`].
    pub fn opaque(&mut self, max: usize) -> Result<&'a [u8], DecodeError> {
        let length = self.length(max)?;
        self.fixed(length)
    }

    /// Reads a number of bytes or elements, at most `max`.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] or [`DecodeError::Truncated`].
    pub fn length(&mut self, max: usize) -> Result<usize, DecodeError> {
        let length = self.u32()?;
        match usize::try_from(length) {
            Ok(fits) if fits <= max => Ok(fits),
            _ => Err(DecodeError::TooLong { length, max }),
        }
    }

    /// Reads the content of a list, an array or an optional value.
    ///
    /// # Errors
    /// [`DecodeError::TooDeep`] at a depth of more than [`MAX_DEPTH`] levels, so that the input
    /// does not decide how much stack is used; and the errors of `inside`.
    pub fn nested<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        if self.depth == MAX_DEPTH {
            return Err(DecodeError::TooDeep);
        }
        self.depth += 1;
        let value = inside(self)?;
        self.depth -= 1;
        Ok(value)
    }

    /// Returns the bytes that are not read yet.
    pub const fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    const fn short_of(&self, wanted: usize) -> DecodeError {
        DecodeError::Truncated {
            missing: wanted.saturating_sub(self.rest.len()),
        }
    }
}
