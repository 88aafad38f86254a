//! Who may ask, and who gets how much.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::rpc::{AuthStat, RpcError};
use crate::rpcbind::{PROGRAM, v2, v4};
use crate::server::{Caller, Layer, Rejection, Request};

/// How many bytes a stranger gets by datagram for each byte it sends.
const FACTOR: usize = 2;

/// Who may ask the portmapper, and who is trusted with long answers.
///
/// A datagram may carry a forged source address, and a list of registrations is much longer than
/// the question for it. So lists go by datagram only to this machine and to the networks that are
/// named; others are told to come by TCP, and get nothing by datagram that is longer than two
/// bytes for each one they sent.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Access {
    /// The networks that may ask at all; everybody if this is empty. This machine always may.
    pub allowed: Vec<IpNet>,
    /// The networks that are trusted: they get lists by datagram, and may have calls forwarded.
    pub trusted: Vec<IpNet>,
}

impl Access {
    /// Sets [`allowed`](Self::allowed).
    #[must_use]
    pub fn allowed(self, allowed: Vec<IpNet>) -> Self {
        Self { allowed, ..self }
    }

    /// Sets [`trusted`](Self::trusted).
    #[must_use]
    pub fn trusted(self, trusted: Vec<IpNet>) -> Self {
        Self { trusted, ..self }
    }

    fn is_trusted(&self, caller: &Caller) -> bool {
        caller.is_this_machine() || caller.ip().is_some_and(|ip| contains(&self.trusted, ip))
    }

    fn is_allowed(&self, caller: &Caller) -> bool {
        self.allowed.is_empty()
            || self.is_trusted(caller)
            || caller.ip().is_some_and(|ip| contains(&self.allowed, ip))
    }
}

impl Layer for Access {
    fn before(&self, caller: &Caller, request: &Request) -> Result<(), Rejection> {
        if !self.is_allowed(caller) {
            return Err(if is_datagram(caller) {
                Rejection::Silent
            } else {
                RpcError::Auth(AuthStat::TooWeak).into()
            });
        }
        if is_datagram(caller) && is_list(request) && !self.is_trusted(caller) {
            return Err(RpcError::Auth(AuthStat::TooWeak).into());
        }
        Ok(())
    }

    fn allows_reply(&self, caller: &Caller, request_bytes: usize, reply_bytes: usize) -> bool {
        reply_bytes <= FACTOR * request_bytes || self.is_trusted(caller)
    }
}

fn is_datagram(caller: &Caller) -> bool {
    caller.transport().semantics() == crate::rpcbind::Semantics::Datagrams
}

/// Whether the answer is a list, and work to make. `DUMP` has the same number in all versions.
fn is_list(request: &Request) -> bool {
    request.program == PROGRAM
        && matches!(
            (request.version, request.procedure),
            (_, v2::DUMP) | (v4::VERSION, v4::GETADDRLIST | v4::GETSTAT)
        )
}

fn contains(networks: &[IpNet], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    networks.iter().any(|network| network.contains(&ip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpcbind::Netid;
    use crate::server::Peer;

    #[test]
    fn strangers_get_no_lists_by_datagram_but_by_tcp() {
        let access = Access::default().trusted(vec!["192.0.2.0/24".parse().expect("a network")]);
        for (peer, netid, allowed) in [
            ("127.0.0.1", Netid::Udp, true),
            ("192.0.2.7", Netid::Udp, true),
            ("::ffff:192.0.2.7", Netid::Udp, true),
            ("198.51.100.1", Netid::Udp, false),
            ("198.51.100.1", Netid::Tcp, true),
            ("2001:db8::1", Netid::Udp6, false),
        ] {
            let caller = caller(peer, netid);
            for (version, procedure) in [(2, 4), (3, 4), (4, 4), (4, 11), (4, 12)] {
                let passes = access.before(&caller, &request(version, procedure)).is_ok();
                assert_eq!(passes, allowed, "{peer} {netid} {version} {procedure}");
            }
            assert!(access.before(&caller, &request(2, 3)).is_ok());
        }
    }

    #[test]
    fn a_stranger_gets_two_bytes_for_one_at_most() {
        let access = Access::default();
        let stranger = caller("198.51.100.1", Netid::Udp);
        assert!(access.allows_reply(&stranger, 12, 24));
        assert!(!access.allows_reply(&stranger, 11, 24));
        assert!(access.allows_reply(&caller("127.0.0.1", Netid::Udp), 11, 24));
    }

    #[test]
    fn those_who_may_not_ask_are_not_answered_by_datagram() {
        let access = Access::default().allowed(vec!["192.0.2.0/24".parse().expect("a network")]);
        let stranger = caller("198.51.100.1", Netid::Udp);
        assert_eq!(
            access.before(&stranger, &request(2, 3)),
            Err(Rejection::Silent)
        );
        let friend = caller("192.0.2.9", Netid::Udp);
        assert_eq!(access.before(&friend, &request(2, 3)), Ok(()));
    }

    fn caller(peer: &str, netid: Netid) -> Caller {
        let peer: IpAddr = peer.parse().expect("an address");
        Caller::new(netid, Peer::Ip((peer, 700).into()), None)
    }

    fn request(version: u32, procedure: u32) -> Request {
        Request {
            program: PROGRAM,
            version: version.into(),
            procedure: procedure.into(),
            bytes: 56,
        }
    }
}
