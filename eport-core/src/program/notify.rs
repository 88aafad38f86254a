//! Messages to the service manager (`sd_notify(3)`).

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tracing::debug;

use super::environment::variable;

/// Sends a state such as `READY=1` to the service manager, if `NOTIFY_SOCKET` names one. A failure is
/// logged and otherwise ignored: a manager that needs the message has a time-out of its own.
pub fn notify(state: &str) {
    let Some(name) = variable("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(&name, state) {
        debug!(%error, "cannot send {state} to the service manager");
    }
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

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests use sockets directly")]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_by_a_path_and_by_an_abstract_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify").display().to_string();
        let by_path = UnixDatagram::bind(&path).expect("free");
        send(&path, "READY=1").expect("it is bound");
        let name = SocketAddr::from_abstract_name(&path).expect("a name");
        let by_name = UnixDatagram::bind_addr(&name).expect("free");
        send(&format!("@{path}"), "READY=1").expect("it is bound");
        for socket in [by_path, by_name] {
            let mut bytes = [0; 16];
            let length = socket.recv(&mut bytes).expect("it arrived");
            assert_eq!(&bytes[..length], b"READY=1");
        }
    }
}
