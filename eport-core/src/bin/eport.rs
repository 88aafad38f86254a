//! `eport`: which ports a program can have here, and why not the others.

use std::process::ExitCode;

fn main() -> ExitCode {
    eport_core::cli::eport()
}
