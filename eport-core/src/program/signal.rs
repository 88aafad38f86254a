//! The signals that end a program or make a daemon reload.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Exit;
use super::failure::Failure;

/// SIGINT (Ctrl-C) and SIGTERM. From the creation of this value on, neither ends the process by
/// itself.
#[derive(Debug)]
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Installs the handlers. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`Exit::System`] when the system refuses a handler.
    pub fn new() -> Result<Self, Failure> {
        Ok(Self {
            interrupt: install(SignalKind::interrupt())?,
            terminate: install(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal and returns its name. Cancel-safe.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// The signals of a daemon: those of [`StopSignals`] and SIGQUIT, SIGHUP, and SIGUSR1 and SIGUSR2,
/// which are ignored. From the creation of this value on, none of them ends the process by itself.
#[derive(Debug)]
pub struct DaemonSignals {
    stop: StopSignals,
    quit: Signal,
    hangup: Signal,
}

/// A request to a daemon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DaemonSignal {
    /// Stop; with the name of the signal.
    Stop(&'static str),
    /// Read again what can change while the daemon runs: SIGHUP.
    Reload,
}

impl DaemonSignals {
    /// Installs the handlers. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`Exit::System`] when the system refuses a handler.
    pub fn new() -> Result<Self, Failure> {
        // A handler stays installed after its value is dropped, so that these signals do nothing.
        drop(install(SignalKind::user_defined1())?);
        drop(install(SignalKind::user_defined2())?);
        Ok(Self {
            stop: StopSignals::new()?,
            quit: install(SignalKind::quit())?,
            hangup: install(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal. Cancel-safe.
    pub async fn next(&mut self) -> DaemonSignal {
        tokio::select! {
            name = self.stop.next() => DaemonSignal::Stop(name),
            _ = self.quit.recv() => DaemonSignal::Stop("SIGQUIT"),
            _ = self.hangup.recv() => DaemonSignal::Reload,
        }
    }
}

fn install(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| {
        Failure::new(Exit::System, "cannot install a signal handler").because(&error)
    })
}
