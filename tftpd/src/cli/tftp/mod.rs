//! `tftp`: fetches, sends and probes files.

mod args;
mod diagnosis;
mod files;
mod get;
mod hpa;
mod probe;
mod progress;
mod put;
mod settings;
mod url;

use std::{ffi::OsString, process::ExitCode};

use args::{Args, Command};
use eport_core::program::{self, Exit, Failure, StopSignals};

/// Runs the client with the arguments of this process.
pub fn main() -> ExitCode {
    let arguments = arguments();
    if hpa::is_meant(&arguments) {
        let commands = hpa::parse(arguments);
        return program::end(commands.and_then(|commands| program::block_on(run_all(commands))));
    }
    match program::parse::<Args>() {
        Ok(Args { command }) => program::end(program::block_on(run_all(vec![command]))),
        Err(exit) => exit.into(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one function that reads the arguments"
)]
fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

/// Runs one command after the other, until one fails or a signal arrives. What runs at a signal is
/// dropped: its port is released, its temporary file removed.
async fn run_all(commands: Vec<Command>) -> Result<(), Failure> {
    let mut signals = StopSignals::new()?;
    let all = async {
        for command in commands {
            run(command).await?;
        }
        Ok(())
    };
    tokio::select! {
        done = all => done,
        signal = signals.next() => {
            Err(Failure::new(Exit::Interrupted, format!("interrupted by {signal}")))
        }
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Get {
            url,
            output,
            settings,
        } => get::get(&url, output, &settings).await,
        Command::Put {
            file,
            url,
            settings,
        } => put::put(&file, url, &settings).await,
        Command::Probe { url, settings } => probe::probe(&url, &settings).await,
    }
}
