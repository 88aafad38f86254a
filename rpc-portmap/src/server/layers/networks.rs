//! Access by network.

use eport_core::limit::{AccessList, Prefix};

use super::super::caller::Caller;
use super::super::layer::{Layer, Rejection, Request};
use crate::rpc::{AuthStat, RpcError};
use crate::rpcbind::Semantics;

/// Allows callers of some networks, and this machine; others are refused over a stream
/// (`AUTH_TOOWEAK`) and get no answer by datagram.
#[derive(Clone, Debug)]
pub struct Networks(AccessList);

impl Networks {
    /// Allows callers with these prefixes.
    pub fn only(prefixes: impl IntoIterator<Item = Prefix>) -> Self {
        Self(AccessList::only(prefixes))
    }
}

impl Layer for Networks {
    fn before(&self, caller: &Caller, _: &Request) -> Result<(), Rejection> {
        let access = caller.ip().map(|ip| self.0.check(ip));
        if caller.is_this_machine() || access.is_some_and(|access| access.is_allowed()) {
            Ok(())
        } else if caller.transport().semantics() == Semantics::Datagrams {
            Err(Rejection::Silent)
        } else {
            Err(RpcError::Auth(AuthStat::TooWeak).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::rpcbind::Netid;
    use crate::server::Peer;

    #[test]
    fn callers_of_other_networks_are_refused() {
        let layer = Networks::only(["192.0.2.0/24".parse().expect("a prefix")]);
        let too_weak = Err(RpcError::Auth(AuthStat::TooWeak).into());
        for (peer, netid, outcome) in [
            ("192.0.2.1", Netid::Udp, Ok(())),
            ("::ffff:192.0.2.1", Netid::Tcp6, Ok(())),
            ("127.0.0.1", Netid::Udp, Ok(())),
            ("198.51.100.1", Netid::Udp, Err(Rejection::Silent)),
            ("198.51.100.1", Netid::Tcp, too_weak),
        ] {
            let ip: IpAddr = peer.parse().expect("an address");
            let caller = Caller::new(netid, Peer::Ip((ip, 700).into()), None);
            let request = Request {
                program: 1.into(),
                version: 1.into(),
                procedure: 0.into(),
                bytes: 40,
            };
            assert_eq!(layer.before(&caller, &request), outcome, "{peer}");
        }
    }
}
