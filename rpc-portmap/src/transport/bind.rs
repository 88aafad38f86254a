//! The door for what [`eport_core::bind`] does not make: unix sockets; and the interfaces.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::Path;

use nix::ifaddrs::{InterfaceAddressIterator, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nametoindex};

/// Makes a unix listener that every user may connect to. A name that begins with `@` is abstract;
/// at a path, the socket file of an earlier process is removed if no process listens there any more.
pub(super) fn unix(name: &str) -> io::Result<UnixListener> {
    let listener = if let Some(name) = name.strip_prefix('@') {
        bind_unix(&UnixAddress::from_abstract_name(name)?)?
    } else {
        let address = UnixAddress::from_pathname(name)?;
        let listener = match bind_unix(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(name) => {
                remove_file(Path::new(name))?;
                bind_unix(&address)
            }
            other => other,
        }?;
        permit_all(Path::new(name))?;
        listener
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Returns the addresses of this machine's interfaces.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that lists the interfaces"
)]
pub(crate) fn interfaces() -> nix::Result<InterfaceAddressIterator> {
    getifaddrs()
}

/// The numbers of the interfaces that IPv6 multicast can come by.
pub(super) fn multicast_interfaces() -> BTreeSet<u32> {
    let Ok(interfaces) = interfaces() else {
        return BTreeSet::new();
    };
    let usable = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST;
    interfaces
        .filter(|interface| interface.flags.contains(usable))
        .filter(|interface| {
            let address = interface.address.as_ref();
            address.is_some_and(|address| address.as_sockaddr_in6().is_some())
        })
        .filter_map(|interface| if_nametoindex(interface.interface_name.as_str()).ok())
        .collect()
}

fn is_abandoned(path: &str) -> bool {
    connect_unix(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Connects to a unix socket: a path, or an abstract name that begins with `@`.
#[expect(
    clippy::disallowed_methods,
    reason = "the one function that connects unix sockets"
)]
pub(crate) fn connect_unix(name: &str) -> io::Result<UnixStream> {
    let address = match name.strip_prefix('@') {
        Some(name) => UnixAddress::from_abstract_name(name),
        None => UnixAddress::from_pathname(name),
    }?;
    UnixStream::connect_addr(&address)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one function that binds unix sockets"
)]
fn bind_unix(address: &UnixAddress) -> io::Result<UnixListener> {
    UnixListener::bind_addr(address)
}

/// Permits every user to connect to a socket's file.
#[expect(
    clippy::disallowed_methods,
    reason = "the one function that changes permissions"
)]
fn permit_all(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))
}

/// Reads the metadata of a file.
#[expect(
    clippy::disallowed_methods,
    reason = "the one function that reads metadata"
)]
pub(super) fn metadata(path: &Path) -> io::Result<fs::Metadata> {
    fs::metadata(path)
}

/// Removes a file.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that removes files"
)]
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}
