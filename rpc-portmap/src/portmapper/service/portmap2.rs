//! The answers of version 2.

use super::super::procedures::Portmap2;
use super::Service;
use crate::registry::{Claim, Registration};
use crate::rpc::RpcError;
use crate::rpcbind::v2::CallArgs;
use crate::rpcbind::{Mapping, Netid, v2};
use crate::server::Caller;
use crate::xdr::List;

impl Portmap2 for Service {
    async fn set(&self, caller: &Caller, request: Mapping) -> Result<bool, RpcError> {
        Ok(self.register(caller, v2::VERSION, Claim::from_mapping(&request)))
    }

    async fn unset(&self, caller: &Caller, request: Mapping) -> Result<bool, RpcError> {
        let Mapping {
            program, version, ..
        } = request;
        let netids = [Netid::Udp, Netid::Tcp];
        Ok(self.unregister(caller, v2::VERSION, program, version, &netids))
    }

    async fn getport(&self, _: &Caller, request: Mapping) -> Result<u32, RpcError> {
        let Mapping {
            program, version, ..
        } = request;
        let Some(netid) = Netid::from_protocol_number(request.protocol) else {
            return Ok(0);
        };
        let found = self.look_up(program, version, netid, false);
        self.counters
            .look_up(v2::VERSION, program, version, netid, found.is_some());
        let port = found.and_then(|found| found.claim.address.port());
        Ok(port.unwrap_or_default().into())
    }

    async fn dump(&self, _: &Caller) -> Result<List<Mapping>, RpcError> {
        let state = self.swept();
        Ok(state
            .registry
            .iter()
            .filter_map(Registration::to_mapping)
            .collect())
    }

    async fn callit(&self, caller: &Caller, call: CallArgs) -> Result<v2::CallResult, RpcError> {
        let (_, result) = self.forward(caller, v2::VERSION, call, false).await?;
        Ok(result)
    }
}
