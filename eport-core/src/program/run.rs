//! The beginning and the end of `main`.

use std::io::{self, Write as _};
use std::process::{ExitCode, Termination};

use clap::Parser;

use super::exit::Exit;
use super::failure::Failure;

/// Parses the command line. `Err` is the status to end with after help, the version or the mistake
/// has been printed.
///
/// # Errors
/// [`Exit::Success`] after `--help` and `--version`, [`Exit::Usage`] after a mistake.
pub fn parse<A: Parser>() -> Result<A, Exit> {
    A::try_parse().map_err(|error| {
        // There is no other stream on which a failure to print could be reported.
        let _ = error.print();
        if error.use_stderr() {
            Exit::Usage
        } else {
            Exit::Success
        }
    })
}

/// Runs a future on a single-threaded runtime and returns as soon as it has ended: a name look-up
/// or a read of standard input that still blocks a thread does not delay the end of the program.
///
/// # Errors
/// The failure of the future; [`Exit::System`] when the runtime cannot be started.
pub fn block_on<T>(main: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(Exit::System, "the runtime cannot be started").because(&error)
        })?;
    let result = runtime.block_on(main);
    runtime.shutdown_background();
    result
}

/// Prints a failure to standard error and returns the code that `main` ends with.
pub fn end(result: Result<impl Termination, Failure>) -> ExitCode {
    match result {
        Ok(value) => value.report(),
        Err(failure) => {
            // The exit code remains where standard error cannot be written.
            let _ = writeln!(io::stderr(), "{failure}");
            failure.exit().into()
        }
    }
}
