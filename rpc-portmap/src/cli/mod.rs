//! The command line of `rpc-portmap`.
//!
//! Results go to standard output, everything else to standard error; exit codes are those of
//! `sysexits.h`, listed in `--help`.

mod activation;
mod ask;
mod doctor;
mod exit;
mod json;
mod layout;
mod names;
mod serve;
mod stats;
mod target;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use exit::Failure;

/// The portmapper for ONC RPC (rpcbind), and what asks it.
#[derive(Debug, Parser)]
#[command(name = "rpc-portmap", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Command,
    /// How long to wait for all answers together, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds, global = true)]
    timeout: Duration,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be this machine's portmapper.
    Serve(serve::Args),
    /// Show what is registered.
    List(ask::ListArgs),
    /// Show where a program is.
    Get(ask::ProgramArgs),
    /// Call the procedure of a program that does nothing.
    Ping(ask::ProgramArgs),
    /// Register a program of this machine.
    Set(ask::SetArgs),
    /// Take a registration of this machine back.
    Unset(ask::UnsetArgs),
    /// Show what a portmapper was asked how often.
    Stats(stats::Args),
    /// Follow what is registered and unregistered.
    Watch(watch::Args),
    /// Say what is wrong with a portmapper.
    Doctor(doctor::Args),
}

const AFTER_HELP: &str = "\
HOST is a name or an address, with :PORT if that is not 111; without HOST this machine is asked.
A program is a number or a name of /etc/rpc.

Exit codes: 0 done, 1 not registered or something is wrong, 64 usage, 69 no answer or port taken,
71 system error, 76 the answer makes no sense, 77 refused.";

/// Runs the program.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
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
    match run(args) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            failure.code()
        }
    }
}

fn run(args: Args) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(exit::OSERR, &error))?;
    let result = runtime.block_on(execute(args));
    // A name server that does not answer must not keep the program from ending.
    runtime.shutdown_background();
    result
}

async fn execute(args: Args) -> Result<ExitCode, Failure> {
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
            Command::Serve(_) | Command::Watch(_) => Ok(ExitCode::SUCCESS),
        }
    };
    tokio::time::timeout(within, work)
        .await
        .unwrap_or_else(|_| Err(exit::no_answer(within)))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "no number of seconds")?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|wait| !wait.is_zero())
        .ok_or_else(|| "no time to wait: write 3 or 0.5".to_owned())
}
