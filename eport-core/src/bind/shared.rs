//! Ports that several sockets are bound to.
//!
//! A socket of ours that is connected hears its peer alone, however many others have its port. But
//! between `bind` and `connect` it would hear strangers, and so would each of its siblings. So every
//! shared port has a *leader*: a socket that was bound first and never connects, and a program in
//! the kernel that gives everything without a connected socket to the first of the group. What
//! reaches the leader is thrown away before it is queued.

use std::io;
use std::net::SocketAddr;

#[cfg(target_os = "linux")]
use socket2::SockFilter;
use socket2::Socket;

/// Binds the leader of a shared port.
#[cfg(target_os = "linux")]
pub(crate) fn leader(address: SocketAddr, only_v6: bool) -> io::Result<Socket> {
    let order = super::Order::shared(address, only_v6);
    let socket = super::bound(&mut None, &order, |socket| {
        socket.attach_filter(&[RETURN_NOTHING])
    })?;
    always_the_first(&socket)?;
    Ok(socket)
}

/// Other systems do not share ports; [`is_possible`] says so before anybody comes here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn leader(_: SocketAddr, _: bool) -> io::Result<Socket> {
    Err(io::ErrorKind::Unsupported.into())
}

/// `BPF_RET | BPF_K` with 0: as a filter it lets nothing through.
#[cfg(target_os = "linux")]
const RETURN_NOTHING: SockFilter = SockFilter::new(0x06, 0, 0, 0);

/// Attaches the same program as the one that selects a socket of the group: always number 0.
#[cfg(target_os = "linux")]
fn always_the_first(socket: &Socket) -> io::Result<()> {
    use nix::libc::{sock_filter, sock_fprog};
    use nix::sys::socket::{setsockopt, sockopt::AttachReusePortCbpf};

    let mut program = [sock_filter {
        code: 0x06,
        jt: 0,
        jf: 0,
        k: 0,
    }];
    // The kernel copies the program during the call.
    let description = sock_fprog {
        len: 1,
        filter: program.as_mut_ptr(),
    };
    Ok(setsockopt(socket, AttachReusePortCbpf, &description)?)
}

/// Whether the kernel finds a connected UDP socket by both of its ends (Linux 6.13 and later).
/// Older ones compare every datagram with all sockets of the port.
///
/// # Errors
/// The release of the kernel, if it does not.
#[cfg(target_os = "linux")]
pub(crate) fn is_possible() -> Result<(), String> {
    let name = nix::sys::utsname::uname().map_err(|errno| errno.to_string())?;
    let release = name.release().to_string_lossy();
    if is_at_least(&release, (6, 13)) {
        Ok(())
    } else {
        Err(format!("Linux {release}"))
    }
}

/// No other system is known to.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_possible() -> Result<(), String> {
    Err(std::env::consts::OS.to_owned())
}

#[cfg(target_os = "linux")]
fn is_at_least(release: &str, wanted: (u32, u32)) -> bool {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse().ok());
    let found: (Option<u32>, Option<u32>) = (next(), next());
    matches!(found, (Some(major), Some(minor)) if (major, minor) >= wanted)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

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
