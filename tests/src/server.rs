//! A TFTP server in a namespace: `tftpd`, or another one to compare with.

use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

use crate::netns::Netns;
use crate::process::Process;
use crate::program::{Program, Task};
use crate::{built, host};

/// Limit for a server to start, and to end without transfers in flight.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; dropping it kills the process.
#[derive(Debug)]
pub struct Server {
    program: Program,
    process: Process,
}

impl Server {
    /// Starts a server and returns once it listens.
    ///
    /// # Panics
    /// If it does not start to listen.
    #[track_caller]
    pub fn start(program: Program, namespace: &Netns, task: &Task<'_>) -> Self {
        let process = program.start(namespace, task);
        match program {
            Program::Tftpd => {
                process.wait_for_line(&format!("listening on {}", task.listen), PATIENCE);
            }
            Program::Hpa | Program::Atftpd | Program::Dnsmasq => {
                let listens = || namespace.udp_ports().contains(&task.listen.port());
                assert!(
                    host::wait_until(PATIENCE, listens),
                    "{program:?} does not listen:\n{}",
                    process.output()
                );
            }
        }
        Self { program, process }
    }

    /// Starts `tftpd` with these arguments and returns once it listens.
    ///
    /// # Panics
    /// If it does not start to listen.
    #[track_caller]
    pub fn tftpd(namespace: &Netns, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        Self::launch(namespace.command(built::binary("tftpd")).args(arguments))
    }

    /// Starts `tftpd` by a command that may begin with other programs, as long as each replaces itself
    /// by the next (`exec`).
    ///
    /// # Panics
    /// If it does not start to listen.
    #[track_caller]
    pub fn launch(command: &mut Command) -> Self {
        let process = Process::start(command);
        process.wait_for_line("listening on", PATIENCE);
        Self {
            program: Program::Tftpd,
            process,
        }
    }

    /// Returns the process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Sends SIGINT to the server, which then completes its transfers.
    pub fn interrupt(&self) {
        self.process.interrupt();
    }

    /// Waits for a line of the log that contains `what`.
    ///
    /// # Panics
    /// If none is written in time.
    #[track_caller]
    pub fn wait_for_line(&self, what: &str) -> String {
        self.process.wait_for_line(what, PATIENCE)
    }

    /// Returns the lines of the log so far that contain `what`.
    pub fn lines_with(&self, what: &str) -> Vec<String> {
        let output = self.output();
        let lines = output.lines().filter(|line| line.contains(what));
        lines.map(str::to_owned).collect()
    }

    /// Sends SIGINT to the server and returns its output.
    ///
    /// # Panics
    /// If `tftpd` does not drain and end with 0.
    #[track_caller]
    pub fn stop(mut self) -> String {
        if self.program == Program::Tftpd {
            self.process.interrupt();
            let status = self.process.wait(PATIENCE);
            assert!(
                status.success(),
                "tftpd ended with {status}:\n{}",
                self.process.output()
            );
        }
        self.process.output()
    }

    /// Returns the output so far.
    pub fn output(&self) -> String {
        self.process.output()
    }
}
