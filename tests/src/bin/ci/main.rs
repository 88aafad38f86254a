//! `cargo ci`: installs the programs that the suites need, then runs every suite.
//!
//! ```text
//! cargo ci               set-up, then all suites
//! cargo ci setup         only the set-up
//! cargo ci test FILTER   only the tests whose name contains FILTER
//! cargo ci lint          format, clippy, documentation, packages, licences
//! ```
//! Exit code: 0 if every step succeeded, 1 if one failed, 64 for an unknown command.

mod lint;
mod setup;
mod steps;
mod suites;

use std::process::ExitCode;

use steps::Steps;

const USAGE: &str = "usage: cargo ci [setup | test [FILTER] | lint]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut steps = Steps::default();
    match arguments.as_slice() {
        [] => {
            setup::run(&mut steps);
            suites::run(&mut steps, None);
        }
        ["setup"] => setup::run(&mut steps),
        ["test"] => suites::run(&mut steps, None),
        ["test", filter] => suites::run(&mut steps, Some(filter)),
        ["lint"] => lint::run(&mut steps),
        ["-h" | "--help"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(64);
        }
    }
    steps.close()
}
