//! XDR, the encoding of ONC RPC ([RFC 4506](https://www.rfc-editor.org/rfc/rfc4506)).
//!
//! Every value is a multiple of four bytes, big endian. [`Decoder`] is a cursor over untrusted
//! bytes: a length is compared with a cap and with the remaining bytes before it is used, no
//! allocation is sized by a length field, lists are read in a loop and nesting ends at
//! [`MAX_DEPTH`].
//!
//! Types of a protocol are declared with [`xdr_struct!`](crate::xdr_struct),
//! [`xdr_enum!`](crate::xdr_enum) and [`xdr_union!`](crate::xdr_union):
//!
//! ```
//! use rpc_portmap::xdr::{self, Text, Xdr};
//!
//! rpc_portmap::xdr_struct! {
//!     /// A point with a name of at most 8 bytes.
//!     #[derive(Clone, Debug, Eq, PartialEq)]
//!     pub struct Point {
//!         /// The horizontal position.
//!         pub x: i32,
//!         /// Its name.
//!         pub name: Text<8>,
//!     }
//! }
//!
//! let point = Point { x: -1, name: "here".parse()? };
//! let bytes = xdr::to_bytes(&point);
//! assert_eq!(bytes, b"\xff\xff\xff\xff\0\0\0\x04here");
//! assert_eq!(xdr::from_bytes::<Point>(&bytes)?, point);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decode;
mod error;
mod list;
mod macros;
mod opaque;
mod primitive;
#[cfg(test)]
mod tests;

pub use decode::Decoder;
pub use error::{DecodeError, LengthError};
pub use list::{Array, List};
pub use opaque::{Opaque, Text, put_display, put_opaque};

/// The depth to which lists, arrays and optional values may be nested.
pub const MAX_DEPTH: u32 = 16;

/// A value with an XDR encoding.
pub trait Xdr: Sized {
    /// Appends the encoding of the value, a multiple of four bytes.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads the value and advances the cursor past it.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not such a value.
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError>;
}

/// Returns the encoding of one value.
pub fn to_bytes(value: &impl Xdr) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

/// Reads one value. Bytes after it are ignored: some programs send buffers of a fixed size, and the
/// RFCs do not forbid it.
///
/// # Errors
/// [`DecodeError`] if the bytes do not begin with such a value.
pub fn from_bytes<T: Xdr>(bytes: &[u8]) -> Result<T, DecodeError> {
    T::decode(&mut Decoder::new(bytes))
}
