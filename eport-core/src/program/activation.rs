//! Sockets that a service manager passes (`sd_listen_fds(3)`).

use std::io;
use std::os::fd::{OwnedFd, RawFd};

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use super::environment::variable;
use super::exit::Exit;
use super::failure::Failure;

/// The descriptor of the first socket that is passed.
const FIRST: RawFd = 3;

/// Takes the sockets that were passed to this process, with the numbers of their descriptors. The
/// list is empty if the process was started without any. Called once: the numbers are closed.
///
/// # Errors
/// [`Exit::System`] when a number that was announced is no open descriptor.
pub fn passed_sockets() -> Result<Vec<(RawFd, OwnedFd)>, Failure> {
    let pid = getpid().as_raw_nonzero().to_string();
    let count = passed(
        variable("LISTEN_PID").as_deref(),
        variable("LISTEN_FDS").as_deref(),
        &pid,
    );
    let take = |number| {
        take(number).map_err(|error| {
            let what = format!("cannot take descriptor {number}, which LISTEN_FDS={count} announces");
            let failure = Failure::new(Exit::System, what).because(&error);
            failure.hint("sd_listen_fds(3): the sockets are descriptors 3 and up, LISTEN_PID is this process")
        })
    };
    (FIRST..).take(count).map(take).collect()
}

/// Returns the number of sockets that were passed to the process `pid`. Variables that name another
/// process, such as the parent, are ignored.
fn passed(listen_pid: Option<&str>, listen_fds: Option<&str>, pid: &str) -> usize {
    let meant = listen_pid == Some(pid);
    let count = listen_fds.and_then(|count| count.parse().ok());
    count.filter(|_| meant).unwrap_or_default()
}

/// Turns the number of a descriptor into a value: a copy, which is closed on exec, while the number
/// itself is closed. Adopting the number would need unsafe code.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that takes over passed sockets"
)]
fn take(number: RawFd) -> io::Result<(RawFd, OwnedFd)> {
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    let socket = pidfd_getfd(this, number, PidfdGetfdFlags::empty())?;
    nix::unistd::close(number)?;
    Ok((number, socket))
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, IntoRawFd};
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn sockets_of_another_process_are_ignored() {
        assert_eq!(passed(Some("77"), Some("4"), "77"), 4);
        assert_eq!(passed(Some("78"), Some("4"), "77"), 0);
        assert_eq!(passed(None, Some("4"), "77"), 0);
        assert_eq!(passed(Some("77"), Some("many"), "77"), 0);
        assert_eq!(passed(Some("77"), None, "77"), 0);
    }

    #[test]
    fn a_number_becomes_a_socket_and_is_closed() {
        let (near, far) = UnixDatagram::pair().expect("a pair");
        let number = far.into_raw_fd();
        let (_, taken) = take(number).expect("it is open");
        assert_ne!(taken.as_raw_fd(), number);
        let taken = UnixDatagram::from(taken);
        near.send(b"hello").expect("it is connected");
        let mut bytes = [0; 8];
        assert_eq!(taken.recv(&mut bytes).expect("it arrived"), 5);
        drop(taken);
        let error = near.send(b"hello").expect_err("both copies are closed");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
