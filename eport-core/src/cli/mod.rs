//! The command line of `eport`. Results go to standard output, everything else to standard error.

mod args;
mod doctor;
mod explain;
mod firewall;
mod plan;
mod report;
mod sockets;

use std::process::ExitCode;

use args::{Command, Eport};
use report::Report;

use crate::program::{self, Exit, Failure};
use crate::system::Host;

/// Runs `eport` with the arguments of this process.
pub fn main() -> ExitCode {
    match program::parse::<Eport>() {
        Ok(args) => program::end(run(&args)),
        Err(exit) => exit.into(),
    }
}

fn run(args: &Eport) -> Result<Exit, Failure> {
    report(args)?.print(args.json)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one function that examines the given root"
)]
fn is_directory(path: &std::path::Path) -> bool {
    path.is_dir()
}

fn report(args: &Eport) -> Result<Report, Failure> {
    if !is_directory(&args.root) {
        let what = format!("{} is not a directory", args.root.display());
        let hint = "name a directory that holds etc and proc, as the root of a machine does";
        return Err(Failure::new(Exit::NotFound, what).hint(hint));
    }
    let host = Host::at(&args.root);
    match &args.command {
        Command::Plan { request, rest } => plan::plan(&host, request, rest.0),
        Command::Explain {
            port,
            ports,
            respect,
        } => explain::explain(&host, *port, ports, respect),
        Command::Check { request } => Ok(doctor::check(&host, request)),
        Command::Sockets { ports, protocol } => {
            sockets::sockets(&host, ports.as_ref(), protocol.map(|protocol| protocol.0))
        }
        Command::Firewall(args) => firewall::firewall(&host, args),
        Command::Doctor {
            request,
            leases,
            server,
        } => Ok(doctor::doctor(&host, request, *leases, server)),
    }
}
