//! Calls to registered programs by way of the portmapper: `CALLIT`, `BCAST`, `INDIRECT`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use eport_core::Allocator;
use ipnet::IpNet;
use tokio::sync::Semaphore;

use crate::client::Client;
use crate::rpc::{NULL_PROCEDURE, Procedure, Program, RpcError, Version};
use crate::rpcbind::v2::CallArgs;
use crate::rpcbind::{MAX_FORWARDED, PROGRAM, Semantics, v2};
use crate::server::{BoxFuture, Caller, ProgramVersion, Rejection};
use crate::xdr::{DecodeError, Decoder, Opaque, Xdr};

/// Calls that may be under way at once; each takes a port.
const AT_ONCE: usize = 64;
/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How calls are forwarded, each from a port leased from an [`Allocator`].
///
/// Everybody may have NULL procedures called, which is what programs are looked for with. Other
/// procedures are called for this machine and for trusted networks only, and never those of the
/// programs that a caller could gain something from by seeming local.
#[derive(Clone, Debug)]
pub struct Forwarding {
    allocator: Allocator,
    trusted: Vec<IpNet>,
    at_once: Arc<Semaphore>,
}

impl Forwarding {
    /// Forwards from ports of `allocator`.
    pub fn new(allocator: Allocator, trusted: Vec<IpNet>) -> Self {
        Self {
            allocator,
            trusted,
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Whether the call may be forwarded for this caller.
    pub(super) fn admits(&self, caller: &Caller, call: &CallArgs) -> bool {
        if call.procedure == NULL_PROCEDURE {
            return call.program != PROGRAM;
        }
        let ip = caller.ip().map(|ip| ip.to_canonical());
        let trusted = caller.is_this_machine()
            || ip.is_some_and(|ip| self.trusted.iter().any(|network| network.contains(&ip)));
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

/// The programs that trust callers for where they seem to come from: the portmapper itself, NFS,
/// `ypserv`, `yppasswdd`, `rquotad`, `ypupdated`; of the mount daemon MNT, UMNT and UMNTALL, of
/// `ypbind` SETDOM.
const fn is_denied(call: &CallArgs) -> bool {
    match call.program.get() {
        100_000 | 100_003 | 100_004 | 100_009 | 100_011 | 100_028 => true,
        100_005 => matches!(call.procedure.get(), 1 | 3 | 4),
        100_007 => call.procedure.get() == 2,
        _ => false,
    }
}

/// Arguments or results that are passed on as they came.
struct Raw(Vec<u8>);

impl Xdr for Raw {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self(from.remaining().to_vec()))
    }
}

/// A version of the portmapper whose procedure 5, the forwarded call, is silent when it fails
/// (RFC 1833 §2.2.1): it comes by broadcast, and one network would not want to hear from each of
/// its machines that it does not have a program. That there is no such procedure is no failure of
/// it: over a connection, where nobody broadcasts, the caller accepts_datagram that and does not wait in vain.
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
        let quiet = move |refused| match refused {
            Rejection::Error(RpcError::ProcUnavail) if !broadcast => refused,
            _ => Rejection::Silent,
        };
        Box::pin(async move { call.await.map_err(quiet) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpcbind::Netid;
    use crate::server::Peer;

    #[test]
    fn strangers_may_look_for_programs_and_no_more() {
        let allocator = Allocator::builder().build().expect("ports");
        let forwarding = Forwarding::new(allocator, Vec::new());
        for (program, procedure, stranger_may, local_may) in [
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
            assert_eq!(
                may([198, 51, 100, 1]),
                stranger_may,
                "{program} {procedure}"
            );
            assert_eq!(may([127, 0, 0, 1]), local_may, "{program} {procedure}");
        }
    }

    fn caller(ip: [u8; 4]) -> Caller {
        Caller::new(Netid::Udp, Peer::Ip((ip, 700).into()), None)
    }
}
