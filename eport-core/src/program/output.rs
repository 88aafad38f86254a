//! Results on standard output.

use std::io::{self, Write};

use serde_json::Value;

use super::exit::Exit;
use super::failure::Failure;

/// Writes a result to standard output in one piece. A reader that has closed the pipe (`| head`) is
/// no failure.
///
/// # Errors
/// [`Exit::Io`] when the text cannot be written.
pub fn print(text: &str) -> Result<(), Failure> {
    // Standard output is line-buffered: each line would be a system call.
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Io, "cannot write the result").because(&error))
        }
        _ => Ok(()),
    }
}

/// Writes a value as indented JSON, with a newline after it.
///
/// # Errors
/// [`Exit::Io`] when the text cannot be written.
pub fn print_json(value: &Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}
