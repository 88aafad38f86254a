//! The door for what [`eport_core::bind`] does not make: unix sockets.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::Path;

/// Makes a unix listener that every user may connect to. A name that begins with `@` is abstract;
/// at a path, what a predecessor left behind is removed if nobody listens there any more.
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
        fs::set_permissions(name, fs::Permissions::from_mode(0o666))?;
        listener
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn is_abandoned(path: &str) -> bool {
    UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn bind_unix(address: &UnixAddress) -> io::Result<UnixListener> {
    UnixListener::bind_addr(address)
}

/// Removes a file.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that removes files"
)]
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}
