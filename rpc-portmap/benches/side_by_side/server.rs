//! A portmapper under measurement.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark uses files and sockets and time and the environment directly"
)]

use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// The server under test.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Rpcbind,
    RpcPortmap,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rpcbind => "rpcbind",
            Self::RpcPortmap => "rpc-portmap",
        }
    }

    fn command(self) -> Command {
        // The server is alone on its CPU; the load was started on another one.
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]);
        match self {
            Self::Rpcbind => {
                let program = env::var_os("RPCBIND").unwrap_or_else(|| "rpcbind".into());
                command.arg(program).arg("-f");
            }
            Self::RpcPortmap => {
                command.args([env!("CARGO_BIN_EXE_rpc-portmap"), "serve", "--log", "warn"]);
                command.args(["--state", "/run/rpc-portmap.state"]);
            }
        }
        command
    }
}

/// A process that ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts it and waits until it listens.
    pub(crate) fn start(kind: Kind) -> Self {
        for left_over in ["/run/rpcbind.sock", "/run/rpc-portmap.state"] {
            remove(left_over);
        }
        let child = kind
            .command()
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", kind.name()));
        let limit = now() + Duration::from_secs(5);
        while UnixStream::connect("/run/rpcbind.sock").is_err() {
            assert!(now() < limit, "{} does not listen", kind.name());
            thread::sleep(Duration::from_millis(5));
        }
        Self { child }
    }

    /// The time that all its threads have spent on a CPU.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let nanoseconds = threads.flatten().map(|thread| {
            let text = text(&format!("{}/schedstat", thread.path().display()));
            let first = text.split_whitespace().next();
            first
                .and_then(|spent| spent.parse::<f64>().ok())
                .expect("a number")
        });
        nanoseconds.sum::<f64>() / 1e9
    }

    /// The memory that it has in use.
    pub(crate) fn megabytes(&self) -> f64 {
        let status = text(&format!("/proc/{}/status", self.child.id()));
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kilobytes.expect("a number") / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The child has not been waited for, so the process id still belongs to it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "clears up between two servers")]
fn remove(path: &str) {
    // What is not there need not go.
    let _ = fs::remove_file(path);
}

#[expect(
    clippy::disallowed_methods,
    reason = "reads process figures from procfs"
)]
fn text(path: &str) -> String {
    fs::read_to_string(path).expect("procfs")
}

#[expect(clippy::disallowed_methods, reason = "a measurement takes time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
