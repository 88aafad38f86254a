//! Sequential steps: each is printed, timed, and listed in a summary.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use tests::host;

/// The steps that have run.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
    tests: Option<Count>,
}

struct Step {
    name: &'static str,
    time: Duration,
    outcome: Result<String, String>,
}

/// Numbers of tests that passed, failed, and were ignored.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Count {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) ignored: u32,
}

impl Steps {
    /// Runs a step, which returns a remark or an error message; returns true if it succeeded.
    pub(crate) fn step(
        &mut self,
        name: &'static str,
        run: impl FnOnce() -> Result<String, String>,
    ) -> bool {
        println!("\n== {name}");
        let start = host::now();
        let outcome = run();
        let well = outcome.is_ok();
        self.done.push(Step {
            name,
            time: start.elapsed(),
            outcome,
        });
        well
    }

    /// Stores the numbers of tests for the summary.
    pub(crate) fn count(&mut self, tests: Count) {
        self.tests = Some(tests);
    }

    /// Prints the summary and returns the exit code.
    pub(crate) fn close(self) -> ExitCode {
        println!("\n== summary");
        for Step {
            name,
            time,
            outcome,
        } in &self.done
        {
            let (mark, remark) = match outcome {
                Ok(remark) => ("ok", remark),
                Err(reason) => ("FAILED", reason),
            };
            println!("{:<7} {name:<16} {:>4} s   {remark}", mark, time.as_secs());
        }
        if let Some(Count {
            passed,
            failed,
            ignored,
        }) = self.tests
        {
            println!("{passed} passed, {failed} failed, {ignored} skipped");
        }
        if self.done.iter().any(|step| step.outcome.is_err()) {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

/// A command of cargo, run in the workspace.
pub(crate) fn cargo(arguments: &str) -> Command {
    let mut command = Command::new(host::variable("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    command
        .args(arguments.split_whitespace())
        .current_dir(host::workspace());
    command
}

/// Runs a command in the foreground.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    announce(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| not_started(command, &error))?;
    if status.success() {
        Ok(String::new())
    } else {
        Err(format!("{} ended with {status}", name(command)))
    }
}

/// Runs a command, copies its standard output, and calls `see` with every line.
pub(crate) fn watch(command: &mut Command, mut see: impl FnMut(&str)) -> Result<String, String> {
    announce(command);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| not_started(command, &error))?;
    let output = child
        .stdout
        .take()
        .into_iter()
        .flat_map(|output| BufReader::new(output).lines());
    for line in output.map_while(Result::ok) {
        // A closed pipe must not end the tests.
        drop(writeln!(std::io::stdout(), "{line}"));
        see(&line);
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() {
        Ok(String::new())
    } else {
        Err(format!("{} ended with {status}", name(command)))
    }
}

fn announce(command: &Command) {
    let words: Vec<_> = command
        .get_args()
        .map(|word| word.to_string_lossy())
        .collect();
    println!("$ {} {}", name(command), words.join(" "));
}

fn not_started(command: &Command, error: &std::io::Error) -> String {
    format!("{} cannot be started: {error}", name(command))
}

fn name(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
