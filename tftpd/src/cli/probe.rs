//! `tftp probe`.

use std::time::Duration;

use super::{
    client::Settings,
    diagnosis::{Way, failed},
    exit::Failure,
    url::Url,
};
use crate::{
    client::{Probe, TransferError},
    net,
};

/// How many seconds a server may take to answer.
const PATIENCE: u16 = 3;

/// What is asked for if only the server is of interest: a name that explains itself in its log.
const NO_FILE: &[u8] = b"tftp-probe";

/// Asks the server of `url` what it would do, and prints its answer.
pub(super) async fn probe(url: &Url, settings: &Settings) -> Result<(), Failure> {
    let servers = settings.resolve(url).await?;
    let client = settings.client(url, PATIENCE, |_| {})?;
    let asked_for_file = !url.path.is_empty();
    let name = if asked_for_file { &url.path } else { NO_FILE };
    let started = net::now();
    let answer = client.probe(servers.as_slice(), name).await;
    let took = net::now() - started;
    match answer {
        Ok(probe) if !settings.quiet => print(&probe),
        Ok(_) => {}
        // Any answer shows that a server is there.
        Err(refused @ TransferError::Refused { .. }) if !asked_for_file => {
            if !settings.quiet {
                println!("answer  {}: {refused}", milliseconds(took));
                println!("hint    name a file to see the port, the options and the size");
            }
        }
        Err(error) => return Err(failed(&error, Way::Here)),
    }
    Ok(())
}

fn print(probe: &Probe) {
    let repeated = match probe.repeated {
        0 => String::new(),
        times => format!(", asked {} times", times + 1),
    };
    println!("answer  {}{repeated}", milliseconds(probe.round_trip));
    println!("from    {}", probe.server);
    match probe.options {
        Some(options) => println!("accepts {options}"),
        None => println!("accepts no options"),
    }
    if let Some(size) = probe.size {
        println!("size    {size}");
    }
    if let Some(largest) = probe.largest_unfragmented {
        println!("fits    blksize={largest}");
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
