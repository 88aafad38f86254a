//! Credentials and verifiers ([RFC 5531 §8.2](https://www.rfc-editor.org/rfc/rfc5531#section-8.2)).

use super::error::{AuthStat, RpcError};
use crate::xdr::{DecodeError, Decoder, Xdr, put_opaque};

/// The longest body of a credential or verifier, in bytes (§8.2).
pub const MAX_AUTH_BODY: usize = 400;
/// The longest machine name in an `AUTH_SYS` credential, in bytes (appendix A).
pub const MAX_MACHINE_NAME: usize = 255;
/// The most supplementary groups in an `AUTH_SYS` credential (appendix A).
pub const MAX_GIDS: usize = 16;

/// `AUTH_NONE` (§10.1).
const AUTH_NONE: u32 = 0;
/// `AUTH_SYS` (appendix A).
const AUTH_SYS: u32 = 1;

/// The identity that a caller claims.
///
/// Other flavours are rejected with `AUTH_REJECTEDCRED`, including the probe of [RFC 9289
/// §4.1](https://www.rfc-editor.org/rfc/rfc9289#section-4.1) (`AUTH_TLS`), whose sender concludes
/// that there is no TLS here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Credential<'a> {
    /// No identity (`AUTH_NONE`).
    #[default]
    None,
    /// A user of some machine, unverified (`AUTH_SYS`).
    Sys(AuthSys<'a>),
}

impl<'a> Credential<'a> {
    /// Reads a credential.
    ///
    /// # Errors
    /// The [`RpcError`] to answer with: `GARBAGE_ARGS` if the message ends too early,
    /// `AUTH_BADCRED` or `AUTH_REJECTEDCRED` otherwise.
    pub fn decode(from: &mut Decoder<'a>) -> Result<Self, RpcError> {
        let flavour = from.u32().map_err(|_| RpcError::GarbageArgs)?;
        let body = auth_body(from, AuthStat::BadCred)?;
        match flavour {
            // The body of AUTH_NONE "should be" empty (§10.1) and is ignored if it is not.
            AUTH_NONE => Ok(Self::None),
            AUTH_SYS => AuthSys::decode(body)
                .map(Self::Sys)
                .map_err(|_| RpcError::Auth(AuthStat::BadCred)),
            _ => Err(RpcError::Auth(AuthStat::RejectedCred)),
        }
    }

    /// Appends the credential.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => put_none(out),
            Self::Sys(sys) => {
                AUTH_SYS.encode(out);
                let mut body = Vec::new();
                sys.encode(&mut body);
                put_opaque(&body, out);
            }
        }
    }
}

/// Appends an `AUTH_NONE` credential or verifier.
pub(super) fn put_none(out: &mut Vec<u8>) {
    AUTH_NONE.encode(out);
    put_opaque(&[], out);
}

/// Reads a verifier and ignores it: no supported flavour uses one.
pub(super) fn skip_verifier(from: &mut Decoder<'_>) -> Result<(), RpcError> {
    from.u32().map_err(|_| RpcError::GarbageArgs)?;
    auth_body(from, AuthStat::BadVerf).map(|_| ())
}

fn auth_body<'a>(from: &mut Decoder<'a>, too_long: AuthStat) -> Result<&'a [u8], RpcError> {
    from.opaque(MAX_AUTH_BODY).map_err(|error| match error {
        DecodeError::TooLong { .. } => RpcError::Auth(too_long),
        _ => RpcError::GarbageArgs,
    })
}

/// The body of an `AUTH_SYS` credential ([RFC 5531, appendix A](https://www.rfc-editor.org/rfc/rfc5531#appendix-A)).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "closed: `authsys_parms` of RFC 5531, appendix A"
)]
pub struct AuthSys<'a> {
    /// An arbitrary number of the caller's.
    pub stamp: u32,
    /// The name of the caller's machine, at most [`MAX_MACHINE_NAME`] bytes.
    pub machine: &'a [u8],
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The supplementary groups.
    pub gids: Gids<'a>,
}

impl<'a> AuthSys<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// [`DecodeError`] if it is no such body.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut from = Decoder::new(body);
        Ok(Self {
            stamp: from.u32()?,
            machine: from.opaque(MAX_MACHINE_NAME)?,
            uid: from.u32()?,
            gid: from.u32()?,
            gids: Gids::decode(&mut from)?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.stamp.encode(out);
        let machine = self.machine.get(..MAX_MACHINE_NAME);
        put_opaque(machine.unwrap_or(self.machine), out);
        self.uid.encode(out);
        self.gid.encode(out);
        self.gids.encode(out);
    }
}

/// Supplementary groups in their form on the wire, at most [`MAX_GIDS`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Gids<'a>(&'a [u8]);

impl<'a> Gids<'a> {
    /// Iterates over the groups.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        let (numbers, _) = self.0.as_chunks();
        numbers.iter().copied().map(u32::from_be_bytes)
    }

    fn decode(from: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let count = from.length(MAX_GIDS)?;
        from.fixed(count * 4).map(Self)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        // At most 16, which every constructor checks.
        u32::try_from(self.0.len() / 4)
            .unwrap_or_default()
            .encode(out);
        out.extend_from_slice(self.0);
    }
}
