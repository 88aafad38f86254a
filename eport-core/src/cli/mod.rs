//! The command line of `eport`.
//!
//! Results go to standard output, everything else to standard error; exit codes are those of
//! `sysexits.h`, listed in `eport --help`.

mod args;
mod doctor;
mod exit;
mod explain;
mod firewall;
mod plan;
mod sockets;

use std::io::{self, Write};
use std::process::ExitCode;

use args::{Command, Eport};
use clap::Parser;
use exit::Failure;
use serde_json::Value;

use crate::system::Host;

/// The result of a command, in both forms.
struct Report {
    text: String,
    json: Value,
    /// Whether the exit code is to say that something needs attention.
    alarming: bool,
}

impl Report {
    /// A result that is no cause for alarm.
    fn new(text: impl Into<String>, json: Value) -> Self {
        Self {
            text: text.into(),
            json,
            alarming: false,
        }
    }
}

/// Runs `eport` as it was called.
pub fn eport() -> ExitCode {
    let args = match Eport::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Nobody is left to tell if this cannot be printed.
            let _ = error.print();
            return if error.use_stderr() {
                exit::USAGE.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match report(&args).and_then(|report| show(&report, args.json)) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            failure.code()
        }
    }
}

fn report(args: &Eport) -> Result<Report, Failure> {
    if !args.root.is_dir() {
        let what = format!("{} is not a directory", args.root.display());
        let hint = "name one that holds etc and proc as the root of a machine does";
        return Err(Failure::new(exit::NOINPUT, what).hint(hint));
    }
    let host = Host::at(&args.root);
    match &args.command {
        Command::Plan { wish, rest } => plan::plan(&host, wish, rest.0),
        Command::Explain {
            port,
            ports,
            respect,
        } => explain::explain(&host, *port, ports, respect),
        Command::Check { wish } => Ok(doctor::check(&host, wish)),
        Command::Sockets { ports, protocol } => {
            sockets::sockets(&host, ports.as_ref(), protocol.map(|one| one.0))
        }
        Command::Firewall(wanted) => firewall::firewall(&host, wanted),
        Command::Doctor {
            wish,
            leases,
            listen,
        } => Ok(doctor::doctor(&host, wish, *leases, listen)),
    }
}

/// Prints a result. A reader who has seen enough (`| head`) is no failure.
fn show(report: &Report, json: bool) -> Result<ExitCode, Failure> {
    let text = if json {
        format!("{:#}\n", report.json)
    } else {
        format!("{}\n", report.text.trim_end())
    };
    // In one piece: standard output would be flushed at each line.
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::from_error(exit::IOERR, &error))
        }
        _ if report.alarming => Ok(exit::CONFIG.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
