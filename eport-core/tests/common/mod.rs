//! Sockets of other programs, and a network namespace for tests.

#![expect(
    clippy::disallowed_methods,
    reason = "tests use the environment directly"
)]

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output};
use std::time::Duration;

/// Set in a process that runs inside the namespace made for it.
const INSIDE: &str = "EPORT_TEST_NAMESPACE";

/// Binds a socket without the allocator. Its reads have a timeout, so that a test of broken code fails
/// instead of hanging.
#[expect(
    clippy::disallowed_methods,
    reason = "a foreign socket is bound without the allocator"
)]
pub(crate) fn foreign_socket(address: impl Into<SocketAddr>) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address.into())?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(socket)
}

/// Receives the next datagram of a socket.
pub(crate) fn received(socket: &UdpSocket) -> std::io::Result<Vec<u8>> {
    let mut bytes = [0; 64];
    let length = socket.recv(&mut bytes)?;
    Ok(bytes.iter().copied().take(length).collect())
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect(text)
}

/// Runs `body` in a network namespace with nothing but a loopback interface.
///
/// The test binary runs itself again, for the one test `name`, under `unshare`. Where that is not
/// permitted the test is skipped with a message, but fails when the variable `CI` is set.
#[track_caller]
pub(crate) fn in_namespace(name: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    // With a user namespace (-r) an ordinary user may do the same.
    let Some(unshare) = ["-n", "-rn"].into_iter().find(|flags| works(flags)) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "no network namespace: unshare or ip is missing or not permitted"
        );
        eprintln!(
            "skipped {name}: no network namespace (unshare or ip is missing or not permitted)"
        );
        return;
    };
    let executable = std::env::current_exe().expect("a path");
    let output = command(unshare, "ip link set lo up && exec \"$0\" \"$@\"")
        .arg(executable)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare runs");
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("1 passed"),
        "the test ran: {}",
        text(&output)
    );
}

fn works(flags: &str) -> bool {
    command(flags, "ip link set lo up")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// A shell script in a fresh network namespace; arguments added to it become `$0`, `$1`, ….
fn command(flags: &str, script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args([flags, "--", "sh", "-c", script]);
    command
}

/// Runs a shell script that must succeed.
#[track_caller]
pub(crate) fn sh(script: &str) -> String {
    let output = Command::new("sh")
        .args(["-ec", script])
        .output()
        .expect("sh runs");
    assert!(output.status.success(), "{script}: {}", text(&output));
    text(&output)
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}
