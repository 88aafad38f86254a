//! Replies ([RFC 5531 §9](https://www.rfc-editor.org/rfc/rfc5531#section-9)).

use super::auth::{MAX_AUTH_BODY, put_none};
use super::error::{AuthStat, RpcError};
use super::number::Version;
use super::{CALL, REPLY};
use crate::xdr::{DecodeError, Decoder, Xdr};

/// `MSG_ACCEPTED` of `reply_stat` (§9).
const ACCEPTED: u32 = 0;
/// `MSG_DENIED` of `reply_stat` (§9).
const DENIED: u32 = 1;

/// Appends the header of a successful reply: 24 bytes.
///
/// ```text
///  4 bytes  4         4            8                    4
/// ┌───────┬─────────┬────────────┬────────────────────┬───────────┬┄
/// │ xid   │ REPLY 1 │ ACCEPTED 0 │ verifier AUTH_NONE │ SUCCESS 0 │ results
/// └───────┴─────────┴────────────┴────────────────────┴───────────┴┄
/// ```
pub fn put_success(xid: u32, out: &mut Vec<u8>) {
    accepted(xid, 0, out);
}

/// Appends the reply to a call that is not carried out: 20 to 32 bytes.
pub fn put_error(xid: u32, error: RpcError, out: &mut Vec<u8>) {
    match error {
        RpcError::ProgUnavail => accepted(xid, 1, out),
        RpcError::ProgMismatch { low, high } => {
            accepted(xid, 2, out);
            (low, high).encode(out);
        }
        RpcError::ProcUnavail => accepted(xid, 3, out),
        RpcError::GarbageArgs => accepted(xid, 4, out),
        RpcError::SystemErr => accepted(xid, 5, out),
        RpcError::RpcMismatch { low, high } => {
            denied(xid, 0, out);
            (low, high).encode(out);
        }
        RpcError::Auth(why) => {
            denied(xid, 1, out);
            why.to_wire().encode(out);
        }
    }
}

fn accepted(xid: u32, status: u32, out: &mut Vec<u8>) {
    for number in [xid, REPLY, ACCEPTED] {
        number.encode(out);
    }
    put_none(out);
    status.encode(out);
}

fn denied(xid: u32, status: u32, out: &mut Vec<u8>) {
    for number in [xid, REPLY, DENIED, status] {
        number.encode(out);
    }
}

/// A reply as its caller reads it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "closed: a reply is its transaction id and its outcome"
)]
pub struct Reply<'a> {
    /// The transaction id of the call.
    pub xid: u32,
    /// The results, not decoded yet, or the error.
    pub outcome: Result<&'a [u8], RpcError>,
}

impl<'a> Reply<'a> {
    /// Reads a reply.
    ///
    /// # Errors
    /// [`ReplyDecodeError`] if the message is not a reply.
    pub fn decode(message: &'a [u8]) -> Result<Self, ReplyDecodeError> {
        let mut from = Decoder::new(message);
        let xid = from.u32()?;
        match from.u32()? {
            REPLY => {}
            CALL => return Err(ReplyDecodeError::ACall),
            _ => return Err(ReplyDecodeError::Unknown("message type")),
        }
        let outcome = match from.u32()? {
            ACCEPTED => accept_status(&mut from)?,
            DENIED => Err(reject_status(&mut from)?),
            _ => return Err(ReplyDecodeError::Unknown("reply status")),
        };
        Ok(Self { xid, outcome })
    }
}

fn accept_status<'a>(
    from: &mut Decoder<'a>,
) -> Result<Result<&'a [u8], RpcError>, ReplyDecodeError> {
    from.u32()?;
    from.opaque(MAX_AUTH_BODY)?;
    let error = match from.u32()? {
        0 => return Ok(Ok(from.remaining())),
        1 => RpcError::ProgUnavail,
        2 => RpcError::ProgMismatch {
            low: Version::decode(&mut *from)?,
            high: Version::decode(&mut *from)?,
        },
        3 => RpcError::ProcUnavail,
        4 => RpcError::GarbageArgs,
        5 => RpcError::SystemErr,
        _ => return Err(ReplyDecodeError::Unknown("accept status")),
    };
    Ok(Err(error))
}

fn reject_status(from: &mut Decoder<'_>) -> Result<RpcError, ReplyDecodeError> {
    match from.u32()? {
        0 => Ok(RpcError::RpcMismatch {
            low: from.u32()?,
            high: from.u32()?,
        }),
        1 => Ok(RpcError::Auth(AuthStat::from_wire(from.u32()?))),
        _ => Err(ReplyDecodeError::Unknown("reject status")),
    }
}

/// The reason why a message is not a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyDecodeError {
    /// The message is a call.
    #[error("a call where a reply was expected")]
    ACall,
    /// The message has a number that the RFC does not define.
    #[error("an unknown {0} in a reply")]
    Unknown(&'static str),
    /// The message ends too early, or its verifier is too long.
    #[error("a malformed reply")]
    Malformed(#[from] DecodeError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    /// Returns every error, with its bytes after the transaction id.
    fn golden() -> [(RpcError, &'static str); 8] {
        [
            (
                RpcError::ProgUnavail,
                "00000001 00000000 00000000 00000000 00000001",
            ),
            (
                RpcError::ProgMismatch {
                    low: Version::new(2),
                    high: Version::new(4),
                },
                "00000001 00000000 00000000 00000000 00000002 00000002 00000004",
            ),
            (
                RpcError::ProcUnavail,
                "00000001 00000000 00000000 00000000 00000003",
            ),
            (
                RpcError::GarbageArgs,
                "00000001 00000000 00000000 00000000 00000004",
            ),
            (
                RpcError::SystemErr,
                "00000001 00000000 00000000 00000000 00000005",
            ),
            (
                RpcError::RpcMismatch { low: 2, high: 2 },
                "00000001 00000001 00000000 00000002 00000002",
            ),
            (
                RpcError::Auth(AuthStat::TooWeak),
                "00000001 00000001 00000001 00000005",
            ),
            (
                RpcError::Auth(AuthStat::Other(13)),
                "00000001 00000001 00000001 0000000d",
            ),
        ]
    }

    #[test]
    fn every_fault_reads_back_as_it_was_written() {
        for (what, bytes) in golden() {
            let mut out = Vec::new();
            put_error(7, what, &mut out);
            assert_eq!(out, hex::bytes(&format!("00000007 {bytes}")), "{what}");
            let reply = Reply::decode(&out).expect("a good reply");
            assert_eq!((reply.xid, reply.outcome), (7, Err(what)));
            for length in 0..out.len() {
                assert!(Reply::decode(&out[..length]).is_err(), "{what}: {length}");
            }
        }
    }

    #[test]
    fn results_follow_the_header_with_any_verifier() {
        let mut out = Vec::new();
        put_success(7, &mut out);
        assert_eq!(out.len(), 24);
        out.extend(b"data");
        assert_eq!(Reply::decode(&out).expect("good").outcome, Ok(&b"data"[..]));
        let with_verifier =
            hex::bytes("00000007 00000001 00000000 00000006 00000003 aabbcc00 00000000 64617461");
        assert_eq!(
            Reply::decode(&with_verifier).expect("good").outcome,
            Ok(&b"data"[..])
        );
    }

    #[test]
    fn what_is_not_a_reply_is_an_error() {
        let read = |digits| Reply::decode(&hex::bytes(digits)).expect_err("no reply");
        assert_eq!(read("00000007 00000000"), ReplyDecodeError::ACall);
        assert_eq!(
            read("00000007 00000002"),
            ReplyDecodeError::Unknown("message type")
        );
        let unknown = ReplyDecodeError::Unknown("reply status");
        assert_eq!(read("00000007 00000001 00000002"), unknown);
        let truncated = DecodeError::Truncated { missing: 4 };
        assert_eq!(read("00000007"), ReplyDecodeError::Malformed(truncated));
    }
}
