//! Ports that several sockets are bound to.
//!
//! A connected socket receives from its peer only, however many other sockets have its port. But
//! between `bind` and `connect` it receives from every source, and it cannot be connected first. So it
//! is bound with a filter that drops every datagram, which is detached once it is connected.
//!
//! (A program that selects one socket of the group for all other sources, `SO_ATTACH_REUSEPORT_CBPF`,
//! would cost nothing for each socket. But Linux 6.18 does not run it for a group that has connected
//! sockets: a new socket then gets every datagram.)

use std::io;
use std::net::SocketAddr;

use socket2::{SockFilter, Socket};

use super::{SocketSpec, bound};
use crate::address::LocalAddress;

/// Binds the first socket of a port that others will share.
///
/// It is bound without sharing, so that the bind fails if any other socket has the port, even one
/// that would share it.
pub(crate) fn first(spec: &SocketSpec) -> io::Result<Socket> {
    let socket = bound(&mut None, spec, |socket| socket.attach_filter(&[DROP]))?;
    socket.set_reuse_port(true)?;
    Ok(socket)
}

/// Binds a further socket to a port that others share.
pub(crate) fn another(spec: &SocketSpec) -> io::Result<Socket> {
    bound(&mut None, spec, |socket| {
        socket.set_reuse_port(true)?;
        socket.attach_filter(&[DROP])
    })
}

/// Connects a socket bound by [`first`] or [`another`], and detaches its filter.
pub(crate) fn connect(socket: &Socket, local: LocalAddress, peer: SocketAddr) -> io::Result<()> {
    super::connect(socket, local, peer)?;
    socket.detach_filter()
}

/// `BPF_RET | BPF_K` with 0: no byte of a datagram passes.
const DROP: SockFilter = SockFilter::new(0x06, 0, 0, 0);

/// Checks that the kernel finds a connected UDP socket by both of its ends (Linux 6.13 and later).
/// Older ones compare every datagram with all sockets of the port.
///
/// # Errors
/// The release of the kernel, if it does not.
pub(crate) fn is_possible() -> Result<(), String> {
    let name = nix::sys::utsname::uname().map_err(|errno| errno.to_string())?;
    let release = name.release().to_string_lossy();
    if is_at_least(&release, (6, 13)) {
        Ok(())
    } else {
        Err(format!("Linux {release}"))
    }
}

fn is_at_least(release: &str, wanted: (u32, u32)) -> bool {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse().ok());
    let found: (Option<u32>, Option<u32>) = (next(), next());
    matches!(found, (Some(major), Some(minor)) if (major, minor) >= wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Protocol;

    #[test]
    fn a_shared_socket_receives_nothing_from_before_it_was_connected() {
        let spec = |port| {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            SocketSpec::new(Protocol::Udp, address, false)
        };
        let bind = |spec: &SocketSpec| super::super::open(&mut None, spec).expect("a free port");
        let address = |socket: &Socket| {
            let address = socket.local_addr().expect("bound");
            address.as_socket().expect("an IP address")
        };
        let (other, peer) = (bind(&spec(0)), bind(&spec(0)));
        let first = first(&spec(0)).expect("a free port");
        let own = address(&first);
        let another = another(&spec(own.port())).expect("shared");
        for socket in [&first, &another] {
            // Far more than are discarded after `connect`.
            for _ in 0..500 {
                other.send_to(b"early", &own.into()).expect("sent");
            }
            // One peer for both is wrong for a service, and enough to check what each receives.
            connect(socket, own.into(), address(&peer)).expect("loopback");
            let nothing = socket.recv(&mut [std::mem::MaybeUninit::uninit(); 8]);
            let error = nothing.expect_err("nothing");
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            peer.send_to(b"genuine", &own.into()).expect("sent");
            let received = socket.recv(&mut [std::mem::MaybeUninit::uninit(); 8]);
            assert_eq!(received.expect("it is connected"), 7);
        }
    }

    #[test]
    fn the_first_socket_does_not_share_a_port_of_another_program() {
        let spec = SocketSpec::new(Protocol::Udp, SocketAddr::from(([127, 0, 0, 1], 0)), false);
        let foreign = another(&spec).expect("a free port");
        let address = foreign.local_addr().expect("bound").as_socket();
        let spec = SocketSpec::new(Protocol::Udp, address.expect("an IP address"), false);
        let error = first(&spec).expect_err("in use");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        another(&spec).expect("a socket that shares may join");
    }

    #[test]
    fn releases_are_compared_by_their_numbers() {
        for release in ["6.13.0", "6.13-rc1", "6.18.44-fc", "7.0", "10.0.1"] {
            assert!(is_at_least(release, (6, 13)), "{release}");
        }
        for release in ["6.12.9", "6.1.0-28-amd64", "5.15.0", "6", "", "six.13"] {
            assert!(!is_at_least(release, (6, 13)), "{release}");
        }
    }
}
