//! `doctor`: examines a portmapper.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use eport_core::doctor::{Finding, Severity};
use eport_core::program::{self, Exit, Failure, Findings};

use super::names::{Names, printable};
use super::target;
use crate::client::{Client, ConnectError, Rpcbind};
use crate::portmapper::LocalHost;
use crate::registry::{Host, Liveness};
use crate::rpc::NULL_PROCEDURE;
use crate::rpcbind::v2::CallArgs;
use crate::rpcbind::{ABSTRACT_SOCKET, Netid, PORT, PROGRAM, Rpcb, SOCKET, UniversalAddress, v2};
use crate::xdr::Opaque;

/// The arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The portmapper's host.
    host: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// The time-out of a single call: no answer is a finding.
const PROBE: Duration = Duration::from_millis(600);

pub(super) async fn doctor(args: Args, within: Duration) -> Result<Exit, Failure> {
    let findings = Findings::new(match args.host.as_deref() {
        Some(host) => remote(target::resolve(host).await?, within).await?,
        None => local(within).await,
    });
    if args.json {
        program::print_json(&findings.json())?;
    } else {
        program::print(&findings.text())?;
    }
    Ok(findings.exit())
}

async fn local(within: Duration) -> Vec<Finding> {
    let mut findings = sockets().await;
    findings.extend(families().await);
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    findings.extend(forwards(loopback).await);
    if let Ok(rpcbind) = Rpcbind::local().await {
        match rpcbind.with_timeout(within).dump().await {
            Ok(entries) => {
                findings.extend(exposed(&entries));
                findings.extend(dead(&entries));
            }
            Err(failed) => findings.push(
                Finding::new(
                    "no-list",
                    Severity::Error,
                    format!("the portmapper does not list its registrations: {failed}"),
                    "clients cannot find the programs of this machine",
                )
                .fix("restart the portmapper"),
            ),
        }
    }
    findings
}

async fn remote(host: SocketAddr, within: Duration) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    Client::tcp(host, within)
        .await?
        .null(PROGRAM, v2::VERSION)
        .await?;
    findings.extend(forwards(host).await);
    let by_datagram = Rpcbind::new(Client::udp(host)?)
        .with_timeout(PROBE)
        .mappings()
        .await;
    if by_datagram.is_ok() && !host.ip().is_loopback() {
        findings.push(
            Finding::new(
                "amplifier",
                Severity::Warning,
                format!("{} sends its list of registrations by UDP", host.ip()),
                "a request with a forged source address sends many times its size to the \
             victim",
            )
            .fix(
                "use rpc-portmap serve, which sends lists by UDP to trusted networks \
             only, or a firewall",
            ),
        );
    }
    Ok(findings)
}

/// Examines the unix sockets by which libraries register.
async fn sockets() -> Vec<Finding> {
    let mut answering = Vec::new();
    for name in [ABSTRACT_SOCKET, SOCKET] {
        if answers(Client::unix(name).await).await {
            answering.push(name);
        }
    }
    match answering.as_slice() {
        [] => vec![
            Finding::new(
                "no-portmapper",
                Severity::Error,
                format!("no portmapper answers at {ABSTRACT_SOCKET} or {SOCKET}"),
                "services of this machine register by these sockets and fail to",
            )
            .fix("start a portmapper: rpc-portmap serve"),
        ],
        [only] if *only == ABSTRACT_SOCKET => vec![
            Finding::new(
                "no-path-socket",
                Severity::Warning,
                format!("no portmapper answers at {SOCKET}"),
                "programs with older libraries use this socket only",
            )
            .fix(
                "start the portmapper with --socket @/run/rpcbind.sock \
                 --socket /run/rpcbind.sock",
            ),
        ],
        _ => Vec::new(),
    }
}

/// Examines each family with each transport: a portmapper can listen on some of them only.
async fn families() -> Vec<Finding> {
    let mut findings = Vec::new();
    for ip in [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ] {
        let address = SocketAddr::new(ip, PORT);
        let tcp = answers(Client::tcp(address, PROBE).await).await;
        let udp = answers(Client::udp(address)).await;
        for (transport, answers) in [("TCP", tcp), ("UDP", udp)] {
            if !answers {
                findings.push(
                    Finding::new(
                        "half-bound",
                        Severity::Warning,
                        format!("no portmapper answers at {address} by {transport}"),
                        "clients of that family and transport get no answer and time out",
                    )
                    .fix(
                        "ss -lnp shows the holder of the port; rpc-portmap serve listens on all \
             or fails",
                    ),
                );
            }
        }
    }
    findings
}

/// Returns true if a portmapper answers to a client.
async fn answers(client: Result<Client, ConnectError>) -> bool {
    let Ok(client) = client else {
        return false;
    };
    let answer = client.with_timeout(PROBE).null(PROGRAM, v2::VERSION).await;
    answer.is_ok()
}

/// Examines if calls are forwarded. The call that is tried is harmless: the NULL procedure of a
/// program that is registered.
async fn forwards(host: SocketAddr) -> Option<Finding> {
    let client = Client::udp(host).ok()?.with_timeout(PROBE);
    let listed = Rpcbind::new(Client::tcp(host, PROBE).await.ok()?)
        .mappings()
        .await
        .ok()?;
    let target = listed
        .iter()
        .find(|mapping| mapping.program != PROGRAM && mapping.protocol == 17)?;
    let call = CallArgs {
        program: target.program,
        version: target.version,
        procedure: NULL_PROCEDURE,
        args: Opaque::default(),
    };
    let answer = client
        .call::<_, v2::CallResult>(PROGRAM, v2::VERSION, v2::CALLIT, &call)
        .await;
    answer.is_ok().then(|| {
        Finding::new(
            "forwards-calls",
            Severity::Warning,
            format!("{} forwards calls (CALLIT)", host.ip()),
            "a program receives the call of another machine as a call of its own \
             machine",
        )
        .fix(
            "turn forwarding off (rpcbind: without -r) unless clients look for \
             programs by broadcast",
        )
    })
}

/// Examines if the portmapper of this machine listens for other machines.
fn exposed(entries: &[Rpcb]) -> Option<Finding> {
    let beyond = entries.iter().find(|entry| {
        let address = entry.netid.parse().ok().and_then(|netid: Netid| {
            UniversalAddress::parse(netid, &entry.address)
                .ok()?
                .socket_addr()
        });
        entry.program == PROGRAM && address.is_some_and(|address| !address.ip().is_loopback())
    })?;
    Some(
        Finding::new(
            "exposed",
            Severity::Info,
            format!(
                "the portmapper listens for other machines, at {}",
                printable(&beyond.address)
            ),
            "other machines can list the registrations, unless a firewall drops \
             their calls",
        )
        .fix("if only this machine needs it: --listen 127.0.0.1 --listen ::1"),
    )
}

/// Finds registrations of ports that no socket holds.
fn dead(entries: &[Rpcb]) -> Vec<Finding> {
    let host = LocalHost::new();
    let names = Names::load();
    let is_dead = |entry: &&Rpcb| {
        let netid: Option<Netid> = entry.netid.parse().ok();
        netid.is_some_and(|netid| {
            UniversalAddress::parse(netid, &entry.address)
                .is_ok_and(|address| host.liveness(netid, &address) == Liveness::Dead)
        })
    };
    let finding = |entry: &Rpcb| {
        Finding::new(
            "dead-registration",
            Severity::Warning,
            format!(
                "program {} ({}) version {} is registered at {} on {}, where no socket \
             is bound",
                entry.program,
                names.name(entry.program).unwrap_or("no name"),
                entry.version,
                printable(&entry.address),
                printable(&entry.netid),
            ),
            "clients are sent to a closed port, or to the next program that binds \
             it",
        )
        .fix("start the service again, or rpc-portmap unset PROGRAM:VERSION")
    };
    entries.iter().filter(is_dead).map(finding).collect()
}
