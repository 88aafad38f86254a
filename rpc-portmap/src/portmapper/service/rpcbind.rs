//! The answers of versions 3 and 4.

use tracing::debug;

use super::super::netbuf;
use super::super::procedures::{RpcbList, Rpcbind3, Rpcbind4};
use super::Service;
use crate::registry::{Claim, ClaimError};
use crate::rpc::{RpcError, Version};
use crate::rpcbind::stats::AllStats;
use crate::rpcbind::v2::CallArgs;
use crate::rpcbind::v3::{CallResult, Netbuf};
use crate::rpcbind::{Family, Name, Netid, Rpcb, v3, v4};
use crate::server::Caller;
use crate::transport::seconds_since_1970;
use crate::xdr::List;

/// The parts that versions 3 and 4 have in common.
impl Service {
    fn set_rpcb(&self, caller: &Caller, asked: Version, request: &Rpcb) -> bool {
        self.register(caller, asked, Claim::from_rpcb(request))
    }

    fn unset_rpcb(&self, caller: &Caller, asked: Version, request: &Rpcb) -> bool {
        match unset_netids(request) {
            Ok(netids) => self.unregister(caller, asked, request.program, request.version, &netids),
            Err(error) => {
                debug!("not unregistered: {error}");
                false
            }
        }
    }

    async fn forward_rpcb(
        &self,
        caller: &Caller,
        asked: Version,
        call: CallArgs,
        indirect: bool,
    ) -> Result<CallResult, RpcError> {
        let (address, result) = self.forward(caller, asked, call, indirect).await?;
        Ok(CallResult {
            address: Name::truncated(&address.to_string()),
            results: result.results,
        })
    }
}

impl Rpcbind3 for Service {
    async fn set(&self, caller: &Caller, request: Rpcb) -> Result<bool, RpcError> {
        Ok(self.set_rpcb(caller, v3::VERSION, &request))
    }

    async fn unset(&self, caller: &Caller, request: Rpcb) -> Result<bool, RpcError> {
        Ok(self.unset_rpcb(caller, v3::VERSION, &request))
    }

    async fn getaddr(&self, caller: &Caller, request: Rpcb) -> Result<Name, RpcError> {
        Ok(self.address(caller, v3::VERSION, &request, false))
    }

    async fn dump(&self, _: &Caller) -> Result<RpcbList, RpcError> {
        Ok(self.dump())
    }

    async fn callit(&self, caller: &Caller, call: CallArgs) -> Result<CallResult, RpcError> {
        self.forward_rpcb(caller, v3::VERSION, call, false).await
    }

    async fn gettime(&self, _: &Caller) -> Result<u32, RpcError> {
        Ok(seconds_since_1970())
    }

    async fn uaddr2taddr(&self, _: &Caller, address: Name) -> Result<Netbuf, RpcError> {
        Ok(netbuf::from_text(&address))
    }

    async fn taddr2uaddr(&self, _: &Caller, address: Netbuf) -> Result<Name, RpcError> {
        Ok(Name::truncated(&netbuf::to_text(&address)))
    }
}

impl Rpcbind4 for Service {
    async fn set(&self, caller: &Caller, request: Rpcb) -> Result<bool, RpcError> {
        Ok(self.set_rpcb(caller, v4::VERSION, &request))
    }

    async fn unset(&self, caller: &Caller, request: Rpcb) -> Result<bool, RpcError> {
        Ok(self.unset_rpcb(caller, v4::VERSION, &request))
    }

    async fn getaddr(&self, caller: &Caller, request: Rpcb) -> Result<Name, RpcError> {
        Ok(self.address(caller, v4::VERSION, &request, false))
    }

    async fn dump(&self, _: &Caller) -> Result<RpcbList, RpcError> {
        Ok(self.dump())
    }

    async fn bcast(&self, caller: &Caller, call: CallArgs) -> Result<CallResult, RpcError> {
        self.forward_rpcb(caller, v4::VERSION, call, false).await
    }

    async fn gettime(&self, _: &Caller) -> Result<u32, RpcError> {
        Ok(seconds_since_1970())
    }

    async fn uaddr2taddr(&self, _: &Caller, address: Name) -> Result<Netbuf, RpcError> {
        Ok(netbuf::from_text(&address))
    }

    async fn taddr2uaddr(&self, _: &Caller, address: Netbuf) -> Result<Name, RpcError> {
        Ok(Name::truncated(&netbuf::to_text(&address)))
    }

    async fn getversaddr(&self, caller: &Caller, request: Rpcb) -> Result<Name, RpcError> {
        Ok(self.address(caller, v4::VERSION, &request, true))
    }

    async fn indirect(&self, caller: &Caller, call: CallArgs) -> Result<CallResult, RpcError> {
        self.forward_rpcb(caller, v4::VERSION, call, true).await
    }

    async fn getaddrlist(
        &self,
        caller: &Caller,
        request: Rpcb,
    ) -> Result<List<v4::Entry>, RpcError> {
        let family = caller.transport().family();
        let found = {
            let mut state = self.lock();
            let (program, version) = (request.program, request.version);
            let found = state.registry.by_version(program, version, &self.host);
            state.save_changes();
            found
        };
        let usable = found
            .iter()
            .filter(|found| family == Family::Loopback || found.claim.netid.family() == family);
        let entries: List<_> = usable
            .map(|found| {
                let netid = found.claim.netid;
                let address = self.merged(caller, &request, &found.claim.address);
                v4::Entry {
                    address: Name::truncated(&address.to_string()),
                    netid: Name::truncated(netid.name()),
                    semantics: netid.semantics() as u32,
                    family: Name::truncated(netid.family().name()),
                    protocol: Name::truncated(netid.protocol()),
                }
            })
            .collect();
        // GETSTAT has no counters for this procedure; rpcbind counts it with GETADDR.
        let (program, version, netid) = (request.program, request.version, caller.transport());
        self.counters
            .look_up(v4::VERSION, program, version, netid, !entries.0.is_empty());
        Ok(entries)
    }

    async fn getstat(&self, _: &Caller) -> Result<AllStats, RpcError> {
        Ok(self.counters.snapshot())
    }
}

/// Returns the transports of an UNSET: all, if it names none.
fn unset_netids(request: &Rpcb) -> Result<Vec<Netid>, ClaimError> {
    if request.netid.is_empty() {
        return Ok(Netid::ALL.to_vec());
    }
    Ok(vec![request.netid.parse()?])
}
