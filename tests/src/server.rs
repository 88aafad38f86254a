//! A TFTP server in a namespace: ours, or another one to compare with.

use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

use crate::netns::Netns;
use crate::process::Process;
use crate::program::{Program, Task};
use crate::{built, host};

/// How long a server may take to start, and to end when nothing is in flight.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server, which ends with this value.
#[derive(Debug)]
pub struct Server {
    program: Program,
    process: Process,
}

impl Server {
    /// Starts a server; it listens when this returns.
    ///
    /// # Panics
    /// When it does not come to listen.
    #[track_caller]
    pub fn start(program: Program, namespace: &Netns, task: &Task<'_>) -> Self {
        let process = program.start(namespace, task);
        match program {
            Program::Ours => {
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

    /// Starts ours with arguments of the test's choice; it listens when this returns.
    ///
    /// # Panics
    /// When it does not come to listen.
    #[track_caller]
    pub fn ours(namespace: &Netns, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        Self::launch(namespace.command(built::binary("tftpd")).args(arguments))
    }

    /// Starts ours by a command that may put other programs before it, as long as each gives way to
    /// the next.
    ///
    /// # Panics
    /// When it does not come to listen.
    #[track_caller]
    pub fn launch(command: &mut Command) -> Self {
        let process = Process::start(command);
        process.wait_for_line("listening on", PATIENCE);
        Self {
            program: Program::Ours,
            process,
        }
    }

    /// The process, to look at it from outside.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Asks the server to end, as Ctrl-C does; it may go on with what runs.
    pub fn interrupt(&self) {
        self.process.interrupt();
    }

    /// Waits for a line of the log that contains `what`.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn wait_for_line(&self, what: &str) -> String {
        self.process.wait_for_line(what, PATIENCE)
    }

    /// The lines of the log so far that contain `what`.
    pub fn lines_with(&self, what: &str) -> Vec<String> {
        let output = self.output();
        let lines = output.lines().filter(|line| line.contains(what));
        lines.map(str::to_owned).collect()
    }

    /// Asks the server to end, as Ctrl-C does, and returns what it wrote.
    ///
    /// # Panics
    /// When ours does not drain and end with 0.
    #[track_caller]
    pub fn stop(mut self) -> String {
        if self.program == Program::Ours {
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

    /// What the server has written so far.
    pub fn output(&self) -> String {
        self.process.output()
    }
}
