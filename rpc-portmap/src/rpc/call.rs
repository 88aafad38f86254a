//! Calls ([RFC 5531 §9](https://www.rfc-editor.org/rfc/rfc5531#section-9)).

use super::auth::{Credential, put_none, skip_verifier};
use super::error::RpcError;
use super::number::{Procedure, Program, Version};
use super::{CALL, RPC_VERSION};
use crate::xdr::{Decoder, Xdr};

/// A call ([RFC 5531 §9](https://www.rfc-editor.org/rfc/rfc5531#section-9), `call_body`).
///
/// ```text
///  4 bytes  4        4           4         4         4           8 – 408      8 – 408
/// ┌───────┬────────┬───────────┬─────────┬─────────┬───────────┬────────────┬──────────┬┄
/// │ xid   │ CALL 0 │ rpcvers 2 │ program │ version │ procedure │ credential │ verifier │ arguments
/// └───────┴────────┴───────────┴─────────┴─────────┴───────────┴────────────┴──────────┴┄
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "closed: `call_body` of RFC 5531 §9"
)]
pub struct Call<'a> {
    /// The transaction id, which the reply repeats.
    pub xid: u32,
    /// The program.
    pub program: Program,
    /// Its version.
    pub version: Version,
    /// Its procedure.
    pub procedure: Procedure,
    /// The identity that the caller claims.
    pub credential: Credential<'a>,
    /// The arguments, not decoded yet.
    pub args: &'a [u8],
}

impl<'a> Call<'a> {
    /// Reads a call. The transaction id is read first, so that every later error can be answered.
    ///
    /// # Errors
    /// [`CallDecodeError::Faulty`] with the error to reply, or [`CallDecodeError::NotACall`] if no
    /// reply may be sent.
    pub fn decode(message: &'a [u8]) -> Result<Self, CallDecodeError> {
        let mut from = Decoder::new(message);
        let xid = from.u32().map_err(|_| CallDecodeError::NotACall)?;
        match from.u32() {
            Ok(CALL) => {}
            // Answering a message that is not a call could start an endless exchange between two
            // servers.
            _ => return Err(CallDecodeError::NotACall),
        }
        Self::after_xid(xid, from).map_err(|error| CallDecodeError::Faulty { xid, error })
    }

    fn after_xid(xid: u32, mut from: Decoder<'a>) -> Result<Self, RpcError> {
        let garbage = |_| RpcError::GarbageArgs;
        if from.u32().map_err(garbage)? != RPC_VERSION {
            return Err(RpcError::RpcMismatch {
                low: RPC_VERSION,
                high: RPC_VERSION,
            });
        }
        let program = Program::decode(&mut from).map_err(garbage)?;
        let version = Version::decode(&mut from).map_err(garbage)?;
        let procedure = Procedure::decode(&mut from).map_err(garbage)?;
        let credential = Credential::decode(&mut from)?;
        skip_verifier(&mut from)?;
        Ok(Self {
            xid,
            program,
            version,
            procedure,
            credential,
            args: from.remaining(),
        })
    }

    /// Appends the call, with an empty verifier.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for number in [
            self.xid,
            CALL,
            RPC_VERSION,
            self.program.get(),
            self.version.get(),
            self.procedure.get(),
        ] {
            number.encode(out);
        }
        self.credential.encode(out);
        put_none(out);
        out.extend_from_slice(self.args);
    }
}

/// The reason why a message is not a call that can be carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallDecodeError {
    /// The message has no transaction id, or is a reply: it must not be answered.
    #[error("the message is not an RPC call")]
    NotACall,
    /// The call can be answered only with an error.
    #[error("the call cannot be carried out")]
    Faulty {
        /// Its transaction id.
        xid: u32,
        /// The error to reply.
        #[source]
        error: RpcError,
    },
}

#[cfg(test)]
mod tests {
    use super::super::auth::AuthSys;
    use super::super::error::AuthStat;
    use super::*;
    use crate::hex;

    /// A GETPORT for NFS version 3 over UDP, as `mount.nfs` sends it.
    const GETPORT: &str = "12345678 00000000 00000002 000186a0 00000002 00000003
        00000000 00000000 00000000 00000000
        000186a3 00000003 00000011 00000000";

    #[test]
    fn a_call_reads_back_as_it_was_written() {
        let bytes = hex::bytes(GETPORT);
        let call = Call::decode(&bytes).expect("a good call");
        assert_eq!(
            (call.xid, call.program),
            (0x1234_5678, Program::new(100_000))
        );
        assert_eq!(
            (call.version, call.procedure),
            (Version::new(2), Procedure::new(3))
        );
        assert_eq!(call.args.len(), 16);
        let mut again = Vec::new();
        call.encode(&mut again);
        assert_eq!(again, bytes);
    }

    #[test]
    fn a_truncated_call_is_answered_if_its_transaction_id_is_complete() {
        let bytes = hex::bytes(GETPORT);
        for length in 0..8 {
            assert_eq!(
                Call::decode(&bytes[..length]),
                Err(CallDecodeError::NotACall)
            );
        }
        for length in 8..40 {
            assert_eq!(refusal(&bytes[..length]), RpcError::GarbageArgs, "{length}");
        }
    }

    #[test]
    fn a_reply_is_never_taken_for_a_call() {
        let mut bytes = hex::bytes(GETPORT);
        bytes[7] = 1;
        assert_eq!(Call::decode(&bytes), Err(CallDecodeError::NotACall));
    }

    #[test]
    fn another_version_of_rpc_is_answered_with_the_supported_one() {
        for version in [0, 1, 3, u8::MAX] {
            let mut bytes = hex::bytes(GETPORT);
            bytes[11] = version;
            assert_eq!(refusal(&bytes), RpcError::RpcMismatch { low: 2, high: 2 });
        }
    }

    #[test]
    fn a_credential_of_400_bytes_is_read_and_one_of_401_refused() {
        assert!(Call::decode(&with_auth(0, 400, 0)).is_ok());
        assert_eq!(
            refusal(&with_auth(0, 401, 0)),
            RpcError::Auth(AuthStat::BadCred)
        );
        assert!(Call::decode(&with_auth(0, 0, 400)).is_ok());
        assert_eq!(
            refusal(&with_auth(0, 0, 401)),
            RpcError::Auth(AuthStat::BadVerf)
        );
    }

    #[test]
    fn unsupported_flavours_are_rejected_tls_among_them() {
        for flavour in [2, 3, 6, 7, 390_003, u32::MAX] {
            let error = refusal(&with_auth(flavour, 8, 0));
            assert_eq!(error, RpcError::Auth(AuthStat::RejectedCred));
        }
    }

    #[test]
    fn auth_sys_is_read_within_its_bounds() {
        let good =
            hex::bytes("00000009 00000002 68690000 000003e8 00000064 00000002 00000004 00000018");
        let sys = AuthSys::decode(&good).expect("a good credential");
        assert_eq!((sys.machine, sys.uid, sys.gid), (&b"hi"[..], 1000, 100));
        assert_eq!(sys.gids.iter().collect::<Vec<_>>(), [4, 24]);
        let mut again = Vec::new();
        Credential::Sys(sys).encode(&mut again);
        assert_eq!(again[8..], good);

        let seventeen = [&good[..20], &[0, 0, 0, 17], &[0; 17 * 4]].concat();
        let long_name = [&[0, 0, 0, 9, 0, 0, 1, 0][..], &[b'x'; 256 + 12]].concat();
        for body in [seventeen, long_name, good[..19].to_vec()] {
            let mut bytes = hex::bytes(GETPORT)[..24].to_vec();
            1_u32.encode(&mut bytes);
            crate::xdr::put_opaque(&body, &mut bytes);
            put_none(&mut bytes);
            assert_eq!(refusal(&bytes), RpcError::Auth(AuthStat::BadCred));
        }
    }

    /// Returns the call with a credential of a flavour and length, and a verifier of a length.
    fn with_auth(flavour: u32, credential: usize, verifier: usize) -> Vec<u8> {
        let mut bytes = hex::bytes(GETPORT)[..24].to_vec();
        flavour.encode(&mut bytes);
        crate::xdr::put_opaque(&vec![0xee; credential], &mut bytes);
        0_u32.encode(&mut bytes);
        crate::xdr::put_opaque(&vec![0xee; verifier], &mut bytes);
        bytes
    }

    #[track_caller]
    fn refusal(bytes: &[u8]) -> RpcError {
        match Call::decode(bytes) {
            Err(CallDecodeError::Faulty { xid, error }) => {
                assert_eq!(xid, 0x1234_5678);
                error
            }
            other => panic!("not refused: {other:?}"),
        }
    }
}
