//! Declarations of a protocol's types.

/// Declares a structure whose fields follow each other on the wire (§4.14).
///
/// See [`xdr`](crate::xdr) for an example.
#[macro_export]
macro_rules! xdr_struct {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $( $(#[$field_meta:meta])* $field_vis:vis $field:ident : $type:ty ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $( $(#[$field_meta])* $field_vis $field: $type, )*
        }

        impl $crate::xdr::Xdr for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $( $crate::xdr::Xdr::encode(&self.$field, out); )*
            }

            fn decode(
                from: &mut $crate::xdr::Decoder<'_>,
            ) -> Result<Self, $crate::xdr::DecodeError> {
                Ok(Self { $( $field: $crate::xdr::Xdr::decode(from)?, )* })
            }
        }
    };
}

/// Declares an enumeration (§4.3). Decoding a number without a name is an error.
///
/// ```
/// rpc_portmap::xdr_enum! {
///     /// A colour.
///     #[derive(Clone, Copy, Debug, Eq, PartialEq)]
///     pub enum Colour {
///         /// About 700 nm.
///         Red = 2,
///         /// About 530 nm.
///         Green = 3,
///     }
/// }
/// assert_eq!(rpc_portmap::xdr::from_bytes(&[0, 0, 0, 3]), Ok(Colour::Green));
/// assert!(rpc_portmap::xdr::from_bytes::<Colour>(&[0, 0, 0, 4]).is_err());
/// ```
#[macro_export]
macro_rules! xdr_enum {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident = $value:literal ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis enum $name {
            $( $(#[$variant_meta])* $variant = $value, )*
        }

        impl $crate::xdr::Xdr for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                let value: u32 = match self { $( Self::$variant => $value, )* };
                $crate::xdr::Xdr::encode(&value, out);
            }

            fn decode(
                from: &mut $crate::xdr::Decoder<'_>,
            ) -> Result<Self, $crate::xdr::DecodeError> {
                match from.u32()? {
                    $( $value => Ok(Self::$variant), )*
                    value => Err($crate::xdr::DecodeError::UnknownValue {
                        what: stringify!($name),
                        value,
                    }),
                }
            }
        }
    };
}

/// Declares a discriminated union (§4.15): a number that selects the value that follows, if any.
///
/// ```
/// rpc_portmap::xdr_union! {
///     /// The outcome of a job.
///     #[derive(Clone, Debug, Eq, PartialEq)]
///     pub enum Outcome {
///         /// Success, with the number of items.
///         0 => Done(u64),
///         /// Failure.
///         1 => Failed,
///     }
/// }
/// let bytes = rpc_portmap::xdr::to_bytes(&Outcome::Done(5));
/// assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
/// assert_eq!(rpc_portmap::xdr::from_bytes(&[0, 0, 0, 1]), Ok(Outcome::Failed));
/// ```
#[macro_export]
macro_rules! xdr_union {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $( $(#[$arm_meta:meta])* $value:literal => $arm:ident $(( $type:ty ))? ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis enum $name {
            $( $(#[$arm_meta])* $arm $(($type))?, )*
        }

        impl $crate::xdr::Xdr for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $(
                    $crate::__xdr_arm!(encode self, out, $value, $arm $(, $type)?);
                )*
            }

            fn decode(
                from: &mut $crate::xdr::Decoder<'_>,
            ) -> Result<Self, $crate::xdr::DecodeError> {
                match from.u32()? {
                    $( $value => Ok($crate::__xdr_arm!(decode from, $arm $(, $type)?)), )*
                    value => Err($crate::xdr::DecodeError::UnknownValue {
                        what: stringify!($name),
                        value,
                    }),
                }
            }
        }
    };
}

/// One arm of a union: internal to the macros.
#[doc(hidden)]
#[macro_export]
macro_rules! __xdr_arm {
    (encode $self:ident, $out:ident, $value:literal, $arm:ident) => {
        if let Self::$arm = $self {
            $crate::xdr::Xdr::encode(&($value as u32), $out);
        }
    };
    (encode $self:ident, $out:ident, $value:literal, $arm:ident, $type:ty) => {
        if let Self::$arm(value) = $self {
            $crate::xdr::Xdr::encode(&($value as u32), $out);
            <$type as $crate::xdr::Xdr>::encode(value, $out);
        }
    };
    (decode $from:ident, $arm:ident) => {
        Self::$arm
    };
    (decode $from:ident, $arm:ident, $type:ty) => {
        Self::$arm(<$type as $crate::xdr::Xdr>::decode($from)?)
    };
}
