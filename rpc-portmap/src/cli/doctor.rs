//! `doctor`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use super::exit::{self, Failure};
use super::json::Json;
use super::names::{Names, printable};
use super::target;
use crate::client::{Client, Rpcbind};
use crate::portmapper::LocalHost;
use crate::registry::{Host, Liveness};
use crate::rpcbind::v2::CallArgs;
use crate::rpcbind::{ABSTRACT_SOCKET, Netid, PORT, PROGRAM, Rpcb, SOCKET, UniversalAddress, v2};
use crate::xdr::Opaque;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whom to examine.
    host: Option<String>,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// Something worth knowing.
#[derive(Debug)]
struct Finding {
    code: &'static str,
    severity: &'static str,
    what: String,
    why: &'static str,
    fix: &'static str,
}

/// How long a single question may take: silence is an answer here.
const PROBE: Duration = Duration::from_millis(600);

pub(super) async fn doctor(args: Args, within: Duration) -> Result<ExitCode, Failure> {
    let findings = match args.host.as_deref() {
        Some(host) => remote(target::resolve(host).await?, within).await?,
        None => local(within).await,
    };
    if args.json {
        println!("{}", findings.iter().map(to_json).collect::<Json>());
    } else if findings.is_empty() {
        println!("nothing is wrong");
    } else {
        for Finding {
            code,
            severity,
            what,
            why,
            fix,
        } in &findings
        {
            println!("{severity}: {what} [{code}]\n  why: {why}\n  fix: {fix}");
        }
    }
    let wrong = findings.iter().any(|finding| finding.severity != "info");
    Ok(if wrong {
        exit::NOT_THERE.into()
    } else {
        ExitCode::SUCCESS
    })
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
            Err(failed) => findings.push(Finding {
                code: "no-list",
                severity: "error",
                what: format!("the portmapper does not list its registrations: {failed}"),
                why: "programs of this machine cannot be found",
                fix: "restart the portmapper",
            }),
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
        findings.push(Finding {
            code: "amplifier",
            severity: "warning",
            what: format!("{} sends its list of registrations by UDP", host.ip()),
            why: "with a forged source address that is traffic for somebody else, many times what was asked",
            fix: "use rpc-portmap serve, which answers lists by UDP to trusted networks only, or a firewall",
        });
    }
    Ok(findings)
}

/// Whether the unix sockets answer, which libraries register by.
async fn sockets() -> Vec<Finding> {
    let mut answering = Vec::new();
    for name in [ABSTRACT_SOCKET, SOCKET] {
        if let Ok(client) = Client::unix(name).await
            && client
                .with_timeout(PROBE)
                .null(PROGRAM, v2::VERSION)
                .await
                .is_ok()
        {
            answering.push(name);
        }
    }
    match answering.as_slice() {
        [] => vec![Finding {
            code: "no-portmapper",
            severity: "error",
            what: format!("nobody answers at {ABSTRACT_SOCKET} or {SOCKET}"),
            why: "services of this machine register by these sockets, and cannot",
            fix: "start a portmapper: rpc-portmap serve",
        }],
        [only] if *only == ABSTRACT_SOCKET => vec![Finding {
            code: "no-path-socket",
            severity: "warning",
            what: format!("nobody answers at {SOCKET}"),
            why: "programs with older libraries look nowhere else",
            fix: "start the portmapper with --socket for both names",
        }],
        _ => Vec::new(),
    }
}

/// Whether each family answers by each transport: a portmapper can be half there.
async fn families() -> Vec<Finding> {
    let mut findings = Vec::new();
    for ip in [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ] {
        let address = SocketAddr::new(ip, PORT);
        let tcp = match Client::tcp(address, PROBE).await {
            Ok(client) => client
                .with_timeout(PROBE)
                .null(PROGRAM, v2::VERSION)
                .await
                .is_ok(),
            Err(_) => false,
        };
        let udp = match Client::udp(address) {
            Ok(client) => client
                .with_timeout(PROBE)
                .null(PROGRAM, v2::VERSION)
                .await
                .is_ok(),
            Err(_) => false,
        };
        for (transport, answers) in [("TCP", tcp), ("UDP", udp)] {
            if !answers {
                findings.push(Finding {
                    code: "half-bound",
                    severity: "warning",
                    what: format!("nobody answers at {address} by {transport}"),
                    why: "clients that come that way wait in vain",
                    fix: "see with ss -lnp who has the port; rpc-portmap serve listens on all or fails",
                });
            }
        }
    }
    findings
}

/// Whether calls are forwarded, to a program that is certainly not there in any harmful way: the
/// NULL procedure of whatever is registered.
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
        procedure: 0,
        args: Opaque::default(),
    };
    let answer = client
        .call::<_, v2::CallResult>(PROGRAM, v2::VERSION, v2::CALLIT, &call)
        .await;
    answer.is_ok().then(|| Finding {
        code: "forwards-calls",
        severity: "warning",
        what: format!("{} forwards calls (CALLIT)", host.ip()),
        why: "a stranger's call reaches programs as one of this machine",
        fix: "leave forwarding off (rpcbind: without -r) unless something looks for programs by broadcast",
    })
}

/// Whether the machine's portmapper listens for other machines.
fn exposed(entries: &[Rpcb]) -> Option<Finding> {
    let beyond = entries.iter().find(|entry| {
        let address = entry.netid.parse().ok().and_then(|netid: Netid| {
            UniversalAddress::parse(netid, &entry.address)
                .ok()?
                .socket_addr()
        });
        entry.program == PROGRAM && address.is_some_and(|address| !address.ip().is_loopback())
    })?;
    Some(Finding {
        code: "exposed",
        severity: "info",
        what: format!(
            "the portmapper listens for other machines, at {}",
            printable(&beyond.address)
        ),
        why: "what is registered can be seen from there, unless a firewall forbids it",
        fix: "if only this machine needs it: --listen 127.0.0.1 --listen ::1",
    })
}

/// Registrations whose port nobody holds.
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
    let finding = |entry: &Rpcb| Finding {
        code: "dead-registration",
        severity: "warning",
        what: format!(
            "program {} ({}) version {} is registered at {} on {}, and nobody is there",
            entry.program,
            names.of(entry.program).unwrap_or("no name"),
            entry.version,
            printable(&entry.address),
            printable(&entry.netid),
        ),
        why: "clients are sent to a closed port, or to whoever takes it next",
        fix: "start the service again, or rpc-portmap unset PROGRAM:VERSION",
    };
    entries.iter().filter(is_dead).map(finding).collect()
}

fn to_json(finding: &Finding) -> Json {
    Json::Object(vec![
        ("code", finding.code.into()),
        ("severity", finding.severity.into()),
        ("what", Json::from(&*finding.what)),
        ("why", finding.why.into()),
        ("fix", finding.fix.into()),
    ])
}
