//! Who may call.

use ipnet::IpNet;

use super::super::caller::Caller;
use super::super::layer::{Layer, Rejection, Request};
use crate::rpc::{AuthStat, RpcError};
use crate::rpcbind::Semantics;

/// Lets callers of some networks call, and this machine; others learn by a stream that they are not
/// trusted (`AUTH_TOOWEAK`), and nothing at all by datagram.
#[derive(Clone, Debug)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Those that may call.
    pub fn only(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl Layer for Networks {
    fn before(&self, caller: &Caller, _: &Request) -> Result<(), Rejection> {
        let ip = caller.ip().map(|ip| ip.to_canonical());
        let known = ip.is_some_and(|ip| self.0.iter().any(|network| network.contains(&ip)));
        if known || caller.is_this_machine() {
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
        let layer = Networks::only(["192.0.2.0/24".parse().expect("a network")]);
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
