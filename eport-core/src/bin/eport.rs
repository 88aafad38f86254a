//! `eport`: plans, explains and checks the ports of this machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    eport_core::cli::main()
}
