//! Numbers, booleans, nothing, fixed bytes, optional values and pairs.

use super::{DecodeError, Decoder, Xdr};

/// Nothing: `void` (§4.16).
impl Xdr for () {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(_: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(())
    }
}

/// `unsigned int` (§4.2).
impl Xdr for u32 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.u32()
    }
}

/// `int` (§4.1).
impl Xdr for i32 {
    fn encode(&self, out: &mut Vec<u8>) {
        self.cast_unsigned().encode(out);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.u32().map(u32::cast_signed)
    }
}

/// `unsigned hyper` (§4.5).
impl Xdr for u64 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.u64()
    }
}

/// `hyper` (§4.5).
impl Xdr for i64 {
    fn encode(&self, out: &mut Vec<u8>) {
        self.cast_unsigned().encode(out);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.u64().map(u64::cast_signed)
    }
}

/// `bool` (§4.4): 0 or 1. Any other number counts as true, as in C programs.
impl Xdr for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        u32::from(*self).encode(out);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.u32().map(|number| number != 0)
    }
}

/// `opaque name[N]` (§4.9).
impl<const N: usize> Xdr for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        super::opaque::put_fixed(self, out);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let bytes = from.fixed(N)?;
        bytes
            .try_into()
            .map_err(|_| DecodeError::Truncated { missing: N })
    }
}

/// Optional data (§4.19).
impl<T: Xdr> Xdr for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        if bool::decode(from)? {
            from.nested(T::decode).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// Two values, one after the other: a structure without names.
impl<A: Xdr, B: Xdr> Xdr for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok((A::decode(from)?, B::decode(from)?))
    }
}
