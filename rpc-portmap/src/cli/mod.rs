//! The command line of `rpc-portmap`. Results go to standard output, everything else to standard
//! error.

mod args;
mod ask;
mod doctor;
mod failures;
mod layout;
mod names;
mod seconds;
mod serve;
mod stats;
mod target;
mod watch;

use std::process::ExitCode;

use args::{Args, Command};
use eport_core::program::{self, Exit, Failure};

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    match program::parse::<Args>() {
        Ok(args) => program::end(program::block_on(execute(args))),
        Err(exit) => exit.into(),
    }
}

async fn execute(args: Args) -> Result<Exit, Failure> {
    let within = args.timeout;
    match args.command {
        Command::Serve(args) => return serve::serve(args).await,
        Command::Watch(args) => return watch::watch(args, within).await,
        _ => {}
    }
    let work = async {
        match args.command {
            Command::List(args) => ask::list(args, within).await,
            Command::Get(args) => ask::get(args, within).await,
            Command::Ping(args) => ask::ping(args, within).await,
            Command::Set(args) => ask::set(args, within).await,
            Command::Unset(args) => ask::unset(args, within).await,
            Command::Stats(args) => stats::stats(args, within).await,
            Command::Doctor(args) => doctor::doctor(args, within).await,
            Command::Serve(_) | Command::Watch(_) => Ok(Exit::Success),
        }
    };
    tokio::time::timeout(within, work)
        .await
        .unwrap_or_else(|_| Err(failures::no_answer(within)))
}
