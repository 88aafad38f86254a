//! Forwarded calls to registered programs: `CALLIT`, `BCAST`, `INDIRECT`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use eport_core::Allocator;
use eport_core::limit::{AccessList, Prefix};
use tokio::sync::Semaphore;

use crate::client::Client;
use crate::rpc::{NULL_PROCEDURE, Procedure, Program, RpcError, Version};
use crate::rpcbind::v2::CallArgs;
use crate::rpcbind::{MAX_FORWARDED, PROGRAM, Semantics, v2};
use crate::server::{BoxFuture, Caller, ProgramVersion, Rejection};
use crate::xdr::{DecodeError, Decoder, Opaque, Xdr};

/// Forwarded calls in flight at most; each takes a port.
const AT_ONCE: usize = 64;
/// The time within which a program has to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Forwarding of calls, each from a port leased from an [`Allocator`].
///
/// NULL procedures, by which clients look for programs, are forwarded for every caller. Other
/// procedures are forwarded for this machine and for trusted networks only, and never those of
/// programs that grant rights to local callers.
#[derive(Clone, Debug)]
pub struct Forwarding {
    allocator: Allocator,
    trusted: AccessList,
    at_once: Arc<Semaphore>,
}

impl Forwarding {
    /// Forwards from ports of `allocator`.
    pub fn new(allocator: Allocator, trusted: impl IntoIterator<Item = Prefix>) -> Self {
        Self {
            allocator,
            trusted: AccessList::only(trusted),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Returns true if the call may be forwarded for this caller.
    pub(super) fn admits(&self, caller: &Caller, call: &CallArgs) -> bool {
        if call.procedure == NULL_PROCEDURE {
            return call.program != PROGRAM;
        }
        let access = caller.ip().map(|ip| self.trusted.check(ip));
        let trusted = caller.is_this_machine() || access.is_some_and(|access| access.is_allowed());
        trusted && !is_denied(call)
    }

    /// Calls the program at a UDP port of this machine; `None` if no answer comes.
    pub(super) async fn call(&self, port: u16, call: CallArgs) -> Option<Opaque<MAX_FORWARDED>> {
        let _permit = self.at_once.try_acquire().ok()?;
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let lease = self.allocator.udp(Ipv4Addr::LOCALHOST).peer(peer).lease();
        let client = Client::leased(lease.ok()?).ok()?.with_timeout(PATIENCE);
        let args = Raw(call.args.into_inner());
        let result = client
            .call(call.program, call.version, call.procedure, &args)
            .await;
        let Raw(bytes) = result.ok()?;
        Opaque::new(bytes).ok()
    }
}

/// Returns true for procedures that grant rights by source address: those of the portmapper itself,
/// NFS, `ypserv`, `yppasswdd`, `rquotad`, `ypupdated`; of the mount daemon MNT, UMNT and UMNTALL;
/// of `ypbind` SETDOM.
const fn is_denied(call: &CallArgs) -> bool {
    match call.program.get() {
        100_000 | 100_003 | 100_004 | 100_009 | 100_011 | 100_028 => true,
        100_005 => matches!(call.procedure.get(), 1 | 3 | 4),
        100_007 => call.procedure.get() == 2,
        _ => false,
    }
}

/// Arguments or results that are passed on unchanged.
struct Raw(Vec<u8>);

impl Xdr for Raw {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self(from.remaining().to_vec()))
    }
}

/// A version of the portmapper whose procedure 5, the forwarded call, does not answer failures
/// ([RFC 1833 §2.2.1](https://www.rfc-editor.org/rfc/rfc1833#section-2.2.1)): the call comes by
/// broadcast, and each machine without the program would add a reply. `PROC_UNAVAIL` over a
/// connection is answered, since no broadcast arrives there and the caller would wait for its
/// timeout.
pub(super) struct SilentForward<V>(pub(super) V);

impl<V: ProgramVersion> ProgramVersion for SilentForward<V> {
    fn program(&self) -> Program {
        self.0.program()
    }

    fn version(&self) -> Version {
        self.0.version()
    }

    fn call<'a>(
        &'a self,
        caller: &'a Caller,
        procedure: Procedure,
        args: &'a [u8],
        results: &'a mut Vec<u8>,
    ) -> BoxFuture<'a, Result<(), Rejection>> {
        let call = self.0.call(caller, procedure, args, results);
        if procedure != v2::CALLIT {
            return call;
        }
        let broadcast = caller.transport().semantics() == Semantics::Datagrams;
        let silence = move |refused| match refused {
            Rejection::Error(RpcError::ProcUnavail) if !broadcast => refused,
            _ => Rejection::Silent,
        };
        Box::pin(async move { call.await.map_err(silence) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpcbind::Netid;
    use crate::server::Peer;

    #[test]
    fn other_machines_may_look_for_programs_and_no_more() {
        let allocator = Allocator::builder().build().expect("ports");
        let forwarding = Forwarding::new(allocator, Vec::new());
        for (program, procedure, remote_may, local_may) in [
            (100_001, 0, true, true),
            (100_003, 0, true, true),
            (100_000, 0, false, false),
            (100_001, 1, false, true),
            (100_003, 1, false, false),
            (100_005, 1, false, false),
            (100_005, 2, false, true),
            (100_007, 2, false, false),
        ] {
            let call = CallArgs {
                program: Program::new(program),
                version: Version::new(1),
                procedure: Procedure::new(procedure),
                args: Opaque::default(),
            };
            let may = |ip: [u8; 4]| forwarding.admits(&caller(ip), &call);
            assert_eq!(may([198, 51, 100, 1]), remote_may, "{program} {procedure}");
            assert_eq!(may([127, 0, 0, 1]), local_may, "{program} {procedure}");
        }
    }

    fn caller(ip: [u8; 4]) -> Caller {
        Caller::new(Netid::Udp, Peer::Ip((ip, 700).into()), None)
    }
}
