//! The host and the program that a command names.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use eport_core::program::{Exit, Failure};

use super::names::Names;
use crate::client::{Client, Rpcbind};
use crate::rpc::{Program, Version};
use crate::rpcbind::PORT;

/// Looks up a host: `name`, `192.0.2.1` or `2001:db8::1`, each with `:PORT` if it is not 111 (IPv6 in
/// brackets then).
pub(super) async fn resolve(host: &str) -> Result<SocketAddr, Failure> {
    if let Ok(ip) = host.parse() {
        return Ok(SocketAddr::new(ip, PORT));
    }
    let with_port = match host.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
        _ => format!("{host}:{PORT}"),
    };
    let unknown = |why: &str| {
        Failure::new(
            Exit::Unavailable,
            format!("cannot find the host {host}{why}"),
        )
        .hint("write a name, an address, or either with :PORT")
    };
    let mut found = look_up(&with_port)
        .await
        .map_err(|error| unknown(&format!(": {error}")))?;
    found.next().ok_or_else(|| unknown(""))
}

/// Looks up the addresses of a host with its port.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that looks up names of hosts"
)]
async fn look_up(with_port: &str) -> io::Result<impl Iterator<Item = SocketAddr>> {
    tokio::net::lookup_host(with_port).await
}

/// Connects to the portmapper of a host by TCP, or to that of this machine.
pub(super) async fn portmapper(host: Option<&str>, within: Duration) -> Result<Rpcbind, Failure> {
    let rpcbind = match host {
        None => Rpcbind::local().await?,
        Some(host) => Rpcbind::new(Client::tcp(resolve(host).await?, within).await?),
    };
    Ok(rpcbind.with_timeout(within))
}

/// Parses a program and perhaps a version: `nfs`, `nfs:3`, `100003:3`.
pub(super) fn program(text: &str) -> Result<(Program, Option<Version>), Failure> {
    let (program, version) = match text.split_once(':') {
        Some((program, version)) => (program, Some(version)),
        None => (text, None),
    };
    let number = Names::load().number(program).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("no program has the name {program}"))
            .hint("write its number, or add it to /etc/rpc")
    })?;
    let version = version.map(str::parse).transpose().map_err(|_| {
        Failure::new(Exit::Usage, format!("{text}: the version is no number"))
            .hint("write PROGRAM or PROGRAM:VERSION, such as nfs:3")
    })?;
    Ok((number, version))
}
