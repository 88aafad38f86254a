//! Access to the portmapper, and the size of its answers.

use eport_core::limit::{AccessList, Prefix};

use crate::rpc::{AuthStat, RpcError};
use crate::rpcbind::{PROGRAM, v2, v4};
use crate::server::{Caller, Layer, Rejection, Request};

/// The most bytes of an answer by datagram for each byte of the request, for untrusted callers.
const FACTOR: usize = 2;

/// The callers that may ask the portmapper, and those that are trusted with long answers.
///
/// A datagram may carry a forged source address, and a list of registrations is much longer than
/// the question for it. So lists go by datagram only to this machine and to trusted networks; for
/// others there is TCP, and by datagram nothing longer than two bytes for each one they sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Access {
    /// The callers that may ask at all. This machine always may.
    pub allowed: AccessList,
    /// The callers that are trusted: they get lists by datagram, and may have calls forwarded.
    pub trusted: AccessList,
}

impl Access {
    /// Allows these prefixes alone; all callers if there are none.
    #[must_use]
    pub fn allowed(self, allowed: impl IntoIterator<Item = Prefix>) -> Self {
        let allowed = AccessList::new(allowed, []);
        Self { allowed, ..self }
    }

    /// Trusts these prefixes.
    #[must_use]
    pub fn trusted(self, trusted: impl IntoIterator<Item = Prefix>) -> Self {
        let trusted = AccessList::only(trusted);
        Self { trusted, ..self }
    }

    fn is_trusted(&self, caller: &Caller) -> bool {
        caller.is_this_machine() || is_in(&self.trusted, caller)
    }

    fn is_allowed(&self, caller: &Caller) -> bool {
        self.is_trusted(caller) || is_in(&self.allowed, caller)
    }
}

impl Default for Access {
    /// Allows all callers and trusts none.
    fn default() -> Self {
        Self {
            allowed: AccessList::default(),
            trusted: AccessList::only([]),
        }
    }
}

/// Returns true if the list allows the caller's address.
fn is_in(list: &AccessList, caller: &Caller) -> bool {
    let access = caller.ip().map(|ip| list.check(ip));
    access.is_some_and(|access| access.is_allowed())
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

/// Returns true if the answer is a list, and work to make. `DUMP` has the same number in all versions.
fn is_list(request: &Request) -> bool {
    request.program == PROGRAM
        && matches!(
            (request.version, request.procedure),
            (_, v2::DUMP) | (v4::VERSION, v4::GETADDRLIST | v4::GETSTAT)
        )
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::rpcbind::Netid;
    use crate::server::Peer;

    #[test]
    fn untrusted_callers_get_lists_by_tcp_alone() {
        let access = Access::default().trusted(["192.0.2.0/24".parse().expect("a prefix")]);
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
    fn an_untrusted_caller_gets_two_bytes_for_one_at_most() {
        let access = Access::default();
        let other = caller("198.51.100.1", Netid::Udp);
        assert!(access.allows_reply(&other, 12, 24));
        assert!(!access.allows_reply(&other, 11, 24));
        assert!(access.allows_reply(&caller("127.0.0.1", Netid::Udp), 11, 24));
    }

    #[test]
    fn callers_that_are_not_allowed_get_no_answer_by_datagram() {
        let access = Access::default().allowed(["192.0.2.0/24".parse().expect("a prefix")]);
        let other = caller("198.51.100.1", Netid::Udp);
        assert_eq!(
            access.before(&other, &request(2, 3)),
            Err(Rejection::Silent)
        );
        let allowed = caller("192.0.2.9", Netid::Udp);
        assert_eq!(access.before(&allowed, &request(2, 3)), Ok(()));
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
