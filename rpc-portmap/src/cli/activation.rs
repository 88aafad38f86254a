//! What a service manager passes, and what it is told (`sd_listen_fds(3)`, `sd_notify(3)`).

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use tracing::debug;

/// The descriptor of the first socket that is passed.
const FIRST: RawFd = 3;

/// The sockets that were passed to this process, with the numbers of their descriptors; none if it
/// was started without.
pub(super) fn sockets() -> io::Result<Vec<(RawFd, OwnedFd)>> {
    let pid = getpid().as_raw_nonzero().to_string();
    let count = passed(
        variable("LISTEN_PID").as_deref(),
        variable("LISTEN_FDS").as_deref(),
        &pid,
    );
    (FIRST..).take(count).map(take).collect()
}

/// Tells the service manager how things are, if there is one that wants to know. One that does not
/// listen will find out by itself.
pub(super) fn notify(state: &str) {
    let Some(name) = variable("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(&name, state) {
        debug!(%error, "the service manager does not hear {state}");
    }
}

/// How many sockets were passed to the process with this number. Variables that were meant for its
/// parent are none of its business.
fn passed(listen_pid: Option<&str>, listen_fds: Option<&str>, pid: &str) -> usize {
    let meant = listen_pid == Some(pid);
    let count = listen_fds.and_then(|count| count.parse().ok());
    count.filter(|_| meant).unwrap_or_default()
}

/// Takes a descriptor that is a mere number so far: a copy of it, which is a value and closed on
/// exec, while the number itself is closed.
fn take(number: RawFd) -> io::Result<(RawFd, OwnedFd)> {
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    let socket = pidfd_getfd(this, number, PidfdGetfdFlags::empty())?;
    nix::unistd::close(number)?;
    Ok((number, socket))
}

fn send(name: &str, state: &str) -> io::Result<()> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }?;
    let socket = UnixDatagram::unbound()?;
    socket.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, IntoRawFd};

    use super::*;

    #[test]
    fn what_is_meant_for_another_process_is_left_alone() {
        assert_eq!(passed(Some("77"), Some("4"), "77"), 4);
        assert_eq!(passed(Some("78"), Some("4"), "77"), 0);
        assert_eq!(passed(None, Some("4"), "77"), 0);
        assert_eq!(passed(Some("77"), Some("many"), "77"), 0);
        assert_eq!(passed(Some("77"), None, "77"), 0);
    }

    #[test]
    fn a_number_becomes_a_socket_and_is_closed() {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair");
        let number = theirs.into_raw_fd();
        let (_, taken) = take(number).expect("it is open");
        assert_ne!(taken.as_raw_fd(), number);
        let taken = UnixDatagram::from(taken);
        ours.send(b"hello").expect("it is there");
        let mut bytes = [0; 8];
        assert_eq!(taken.recv(&mut bytes).expect("it came"), 5);
        drop(taken);
        let error = ours.send(b"hello").expect_err("both copies are closed");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_service_manager_hears_by_a_path_and_by_an_abstract_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify").display().to_string();
        let by_path = UnixDatagram::bind(&path).expect("free");
        send(&path, "READY=1").expect("it listens");
        let name = SocketAddr::from_abstract_name(&path).expect("a name");
        let by_name = UnixDatagram::bind_addr(&name).expect("free");
        send(&format!("@{path}"), "READY=1").expect("it listens");
        for socket in [by_path, by_name] {
            let mut bytes = [0; 16];
            let length = socket.recv(&mut bytes).expect("it came");
            assert_eq!(&bytes[..length], b"READY=1");
        }
    }
}
