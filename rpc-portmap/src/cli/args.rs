//! The arguments of `rpc-portmap`; those of a command are in its own file.

use std::time::Duration;

use clap::{Parser, Subcommand};

use super::{ask, doctor, serve, stats, watch};

/// The portmapper for ONC RPC (rpcbind), and its client.
#[derive(Debug, Parser)]
#[command(name = "rpc-portmap", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Seconds to wait for all answers together.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = super::seconds::seconds, global = true)]
    pub(super) timeout: Duration,
}

/// A command and its arguments.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the portmapper of this machine.
    Serve(serve::Args),
    /// List the registrations.
    List(ask::ListArgs),
    /// Show the address of a program.
    Get(ask::ProgramArgs),
    /// Call procedure 0 of a program, which does nothing.
    Ping(ask::ProgramArgs),
    /// Register a program of this machine.
    Set(ask::SetArgs),
    /// Remove a registration of this machine.
    Unset(ask::UnsetArgs),
    /// Show how often a portmapper was called, by procedure.
    Stats(stats::Args),
    /// Follow changes of the registrations.
    Watch(watch::Args),
    /// Examine a portmapper; if something does not work, the exit code is 78.
    Doctor(doctor::Args),
}

const AFTER_HELP: &str = "\
HOST is a name or an address, with :PORT if that is not 111; without HOST this machine is asked.
A program is a number or a name of /etc/rpc.

Exit codes: 0 done (a doctor's warnings included), 64 usage, 66 not registered, 69 no answer, program
not available or address taken, 71 system error, 74 result not written, 76 the answer violates the
protocol, 77 refused, 78 no port left for forwarding, or doctor found an error.";
