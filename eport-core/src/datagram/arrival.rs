//! One datagram and its two addresses.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use nix::libc::in_addr;
use nix::sys::socket::{ControlMessageOwned, RecvMsg, SockaddrStorage};

/// A datagram that was received on a listening socket.
///
/// Closed: the payload, the two addresses and the kind of the destination are all that the kernel
/// reports, and servers that queue requests rebuild the value.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "closed: all that the kernel reports"
)]
pub struct Arrival<'a> {
    /// The payload.
    pub bytes: &'a [u8],
    /// The address and port of the sender.
    pub client: SocketAddr,
    /// The address it was sent to, with the port of the socket; for an IPv4 broadcast the address of
    /// this host that replies leave from. Scoped IPv6 addresses carry the interface as scope.
    pub local: SocketAddr,
    /// Set when the destination was an address of this host alone, neither broadcast nor multicast.
    pub unicast: bool,
}

impl Arrival<'_> {
    /// The address to [`reply`](super::reply) from: [`local`](Self::local), and for a multicast group
    /// of IPv6, which cannot be a source, the unspecified address with the interface as scope, so
    /// that the kernel chooses.
    #[must_use]
    pub fn source(&self) -> SocketAddr {
        match self.local {
            SocketAddr::V6(group) if group.ip().is_multicast() => {
                SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, group.port(), 0, group.scope_id()).into()
            }
            local => local,
        }
    }
}

/// The sender, the destination, and true if the destination was this host alone. `None` without a
/// sender or a destination, and for a sender that [no host can be](is_forged).
pub(super) fn addresses(
    message: &RecvMsg<'_, '_, SockaddrStorage>,
    port: u16,
) -> Option<(SocketAddr, SocketAddr, bool)> {
    let client = socket_addr(message.address.as_ref()?)?;
    let arrival = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let to = ipv4(info.ipi_addr);
            // Of a broadcast the kernel reports the address to answer from here (ip(7)).
            let source = ipv4(info.ipi_spec_dst);
            Some((client, SocketAddr::new(source.into(), port), to == source))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let to = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            let scoped = to.is_unicast_link_local() || to.is_multicast();
            let scope = if scoped { info.ipi6_ifindex } else { 0 };
            let local = SocketAddrV6::new(to, port, 0, scope);
            Some((client, local.into(), !to.is_multicast()))
        }
        _ => None,
    })?;
    (!is_forged(arrival.0, arrival.1)).then_some(arrival)
}

/// Returns an IP address with its port; `None` for other families.
pub fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address
        .as_sockaddr_in()
        .map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| {
        address
            .as_sockaddr_in6()
            .map(|v6| SocketAddr::V6((*v6).into()))
    })
}

/// Returns true for an IPv4-mapped source of a datagram to an address of IPv6. Such a datagram came by
/// IPv6, where the source is forged (RFC 4942 §2.2), and `::ffff:127.0.0.1` would pass for this host. A
/// dual-stack socket reports both addresses of a datagram over IPv4 as mapped ones.
fn is_forged(client: SocketAddr, local: SocketAddr) -> bool {
    let is_mapped = |address: SocketAddr| match address {
        SocketAddr::V4(_) => false,
        SocketAddr::V6(v6) => v6.ip().to_ipv4_mapped().is_some(),
    };
    is_mapped(client) && !is_mapped(local)
}

fn ipv4(address: in_addr) -> Ipv4Addr {
    Ipv4Addr::from(u32::from_be(address.s_addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_source_is_forged_and_others_are_not() {
        for (client, local, forged) in [
            ("[::ffff:127.0.0.1]:700", "[2001:db8::1]:111", true),
            ("[::ffff:192.0.2.7]:2071", "[fe80::1%2]:69", true),
            ("[::ffff:192.0.2.7]:700", "[::ffff:192.0.2.1]:111", false),
            ("[::1]:700", "[::1]:111", false),
            ("[2001:db8::ffff:7f00:1]:700", "[2001:db8::1]:111", false),
            ("127.0.0.1:700", "127.0.0.1:111", false),
        ] {
            let [from, to] = [client, local].map(|text| text.parse().expect("an address"));
            assert_eq!(is_forged(from, to), forged, "{client} to {local}");
        }
    }
}
