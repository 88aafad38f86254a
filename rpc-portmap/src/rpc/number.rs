//! The numbers that identify a remote procedure
//! ([RFC 5531 §8.1](https://www.rfc-editor.org/rfc/rfc5531#section-8.1)).

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use crate::xdr::{DecodeError, Decoder, Xdr};

/// Declares a number of the protocol as a type of its own.
macro_rules! number {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(u32);

        impl $name {
            /// Wraps the number on the wire.
            pub const fn new(number: u32) -> Self {
                Self(number)
            }

            /// Returns the number on the wire.
            pub const fn get(self) -> u32 {
                self.0
            }
        }

        impl From<u32> for $name {
            fn from(number: u32) -> Self {
                Self(number)
            }
        }

        impl From<$name> for u32 {
            fn from(number: $name) -> Self {
                number.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }

        impl Xdr for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }

            fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                from.u32().map(Self)
            }
        }
    };
}

number! {
    /// The number of a program, 32 bits on the wire.
    ///
    /// IANA assigns 0 to `0x1fff_ffff`; `0x2000_0000` to `0x3fff_ffff` are left to the site
    /// ([RFC 5531 §8.3](https://www.rfc-editor.org/rfc/rfc5531#section-8.3)).
    ///
    /// ```
    /// use rpc_portmap::rpc::Program;
    ///
    /// const NFS: Program = Program::new(100_003);
    /// assert_eq!(NFS, Program::from(100_003));
    /// assert_eq!(NFS.to_string(), "100003");
    /// ```
    Program
}

number! {
    /// The number of a program's version, 32 bits on the wire.
    Version
}

number! {
    /// The number of a procedure in one version of a program, 32 bits on the wire; 0 is
    /// [`NULL_PROCEDURE`](crate::rpc::NULL_PROCEDURE).
    Procedure
}
