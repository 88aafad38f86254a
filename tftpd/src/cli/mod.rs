//! The command lines of `tftpd` and `tftp`.
//!
//! Results go to standard output, everything else to standard error; exit codes are those of
//! `sysexits.h`, listed in each program's `--help`.

mod args;
mod client;
mod diagnosis;
mod exit;
mod get;
mod hpa;
mod listen;
mod probe;
mod progress;
mod put;
mod server;
mod url;

pub use client::tftp;
pub use server::tftpd;

use std::process::ExitCode;

use clap::Parser;
use exit::Failure;

/// Reads the command line; `Err` is the exit code after `--help` or a mistake was printed.
fn parse<A: Parser>() -> Result<A, ExitCode> {
    A::try_parse().map_err(|error| {
        // Nobody is left to tell if this cannot be printed.
        let _ = error.print();
        if error.use_stderr() {
            exit::USAGE.into()
        } else {
            ExitCode::SUCCESS
        }
    })
}

/// Runs `main` on a runtime of its own and turns its failure into a message and an exit code.
fn run(main: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(main);
            // Somebody may still be waiting for standard input.
            runtime.shutdown_background();
            result
        }
        Err(error) => {
            Err(Failure::new(exit::OSERR, "the runtime cannot be started").because(&error))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.code()
        }
    }
}
