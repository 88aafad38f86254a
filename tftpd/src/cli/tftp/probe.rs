//! `tftp probe`.

use std::time::Duration;

use eport_core::program::Failure;

use super::{
    diagnosis::{Way, failed},
    settings::Settings,
    url::Url,
};
use crate::{
    client::{Probe, TransferError},
    net,
};

/// Seconds to wait for the first answer.
const PATIENCE: u16 = 3;

/// The name to request if only a server was named; it explains itself in the log of the server.
const NO_FILE: &[u8] = b"tftp-probe";

/// Sends a request to the server of `url`, prints the answer and ends the transfer.
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
        // Any answer shows that a server is running.
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
