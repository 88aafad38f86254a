//! `list`, `get`, `ping`, `set`, `unset`.

use std::net::SocketAddr;
use std::time::Duration;

use eport_core::program::{self, Exit, Failure};
use serde_json::json;

use super::names::Names;
use super::{layout, target};
use crate::client::{CallError, Client, Rpcbind};
use crate::rpc::{Program, RpcError, Version};
use crate::rpcbind::{Family, Name, Netid, Rpcb, UniversalAddress};
use crate::transport::now;

/// The arguments of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// The portmapper's host.
    host: Option<String>,
    /// The list of version 2: TCP and UDP over IPv4, as rpcinfo -p shows it.
    #[arg(long, visible_alias = "ports", conflicts_with = "short")]
    v2: bool,
    /// One line for each program, as rpcinfo -s shows it.
    #[arg(long)]
    short: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// The arguments of `get` and `ping`.
#[derive(Debug, clap::Args)]
#[command(allow_missing_positional = true)]
pub(super) struct ProgramArgs {
    /// The portmapper's host.
    host: Option<String>,
    /// The program: PROGRAM or PROGRAM:VERSION.
    program: String,
    /// Use UDP instead of TCP.
    #[arg(long)]
    udp: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// The host if none is named: over IP, because the address that is looked up is called over IP.
const LOOPBACK: &str = "127.0.0.1";

/// The arguments of `set`.
#[derive(Debug, clap::Args)]
pub(super) struct SetArgs {
    /// The program: PROGRAM:VERSION.
    program: String,
    /// The port of the program.
    #[arg(long, value_name = "PORT")]
    port: std::num::NonZeroU16,
    /// Transports, separated by commas.
    #[arg(
        long,
        value_name = "NETIDS",
        default_value = "tcp,udp",
        value_delimiter = ','
    )]
    netid: Vec<Netid>,
}

/// The arguments of `unset`.
#[derive(Debug, clap::Args)]
pub(super) struct UnsetArgs {
    /// The program: PROGRAM:VERSION.
    program: String,
    /// Transports, separated by commas; all if none is named.
    #[arg(long, value_name = "NETIDS", value_delimiter = ',')]
    netid: Vec<Netid>,
}

pub(super) async fn list(args: ListArgs, within: Duration) -> Result<Exit, Failure> {
    let rpcbind = target::portmapper(args.host.as_deref(), within).await?;
    let names = Names::load();
    if args.v2 {
        let mappings = rpcbind.mappings().await?;
        if args.json {
            program::print_json(&layout::mappings_json(&mappings, &names))?;
        } else {
            program::print(&layout::mappings(&mappings, &names))?;
        }
        return Ok(Exit::Success);
    }
    let entries = rpcbind.dump().await?;
    if args.json {
        program::print_json(&layout::json(&entries, &names))?;
    } else if args.short {
        program::print(&layout::short(&entries, &names))?;
    } else {
        program::print(&layout::full(&entries, &names))?;
    }
    Ok(Exit::Success)
}

pub(super) async fn get(args: ProgramArgs, within: Duration) -> Result<Exit, Failure> {
    let (number, version) = target::program(&args.program)?;
    let host = target::resolve(args.host.as_deref().unwrap_or(LOOPBACK)).await?;
    let address = locate(host, number, version.unwrap_or_default(), args.udp, within).await?;
    if args.json {
        program::print_json(&json!({ "program": number.get(), "address": address.to_string() }))?;
    } else {
        program::print(&format!("{address}\n"))?;
    }
    Ok(Exit::Success)
}

pub(super) async fn ping(args: ProgramArgs, within: Duration) -> Result<Exit, Failure> {
    let (number, version) = target::program(&args.program)?;
    let host = target::resolve(args.host.as_deref().unwrap_or(LOOPBACK)).await?;
    let address = locate(host, number, version.unwrap_or_default(), args.udp, within).await?;
    let client = connect(address, args.udp, within).await?;
    let mut all = true;
    let mut results = Vec::new();
    for version in versions(&client, number, version).await? {
        let start = now();
        let answer = client.null(number, version).await;
        let took = now().saturating_duration_since(start);
        all &= answer.is_ok();
        if args.json {
            results.push(json!({
                "program": number.get(),
                "version": version.get(),
                "ready": answer.is_ok(),
                "microseconds": u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            }));
            continue;
        }
        let program = format!("program {number} version {version}");
        program::print(&match answer {
            Ok(()) => format!("{program} ready at {address} in {took:.1?}\n"),
            Err(error) => format!("{program} is not available: {error}\n"),
        })?;
    }
    if args.json {
        program::print_json(&results.into())?;
    }
    Ok(if all {
        Exit::Success
    } else {
        Exit::Unavailable
    })
}

pub(super) async fn set(args: SetArgs, within: Duration) -> Result<Exit, Failure> {
    let (program, version) = with_version(&args.program)?;
    let rpcbind = target::portmapper(None, within).await?;
    for netid in args.netid {
        let any = match netid.family() {
            Family::Inet => std::net::Ipv4Addr::UNSPECIFIED.into(),
            Family::Inet6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
            Family::Loopback => {
                return Err(Failure::new(Exit::Usage, "a unix socket has no port")
                    .hint("choose --netid tcp, udp, tcp6 or udp6"));
            }
        };
        let address = UniversalAddress::Ip(any, args.port.get()).to_string();
        let request = request(program, version, netid.name(), &address);
        if !rpcbind.set(&request).await? {
            return Err(refused(program, version, netid.name()));
        }
    }
    Ok(Exit::Success)
}

pub(super) async fn unset(args: UnsetArgs, within: Duration) -> Result<Exit, Failure> {
    let (program, version) = with_version(&args.program)?;
    let rpcbind = target::portmapper(None, within).await?;
    let mut netids: Vec<_> = args.netid.iter().map(|netid| netid.name()).collect();
    if netids.is_empty() {
        netids.push("");
    }
    for netid in netids {
        if !rpcbind.unset(&request(program, version, netid, "")).await? {
            return Err(refused(program, version, netid));
        }
    }
    Ok(Exit::Success)
}

/// Asks the portmapper of a host for the address of a program.
async fn locate(
    host: SocketAddr,
    program: Program,
    version: Version,
    udp: bool,
    within: Duration,
) -> Result<SocketAddr, Failure> {
    let rpcbind = Rpcbind::new(connect(host, udp, within).await?);
    let netid = if udp { Netid::Udp } else { Netid::Tcp }.over(Family::from_ip(host.ip()));
    let found = rpcbind.address(program, version, netid).await?;
    let found = found.and_then(|address| address.merged(host.ip()).socket_addr());
    found.ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            format!("program {program} is not registered for {netid}"),
        )
        .hint(format!(
            "rpc-portmap list {host} shows the registered programs"
        ))
    })
}

async fn connect(server: SocketAddr, udp: bool, within: Duration) -> Result<Client, Failure> {
    let client = if udp {
        Client::udp(server)?
    } else {
        Client::tcp(server, within).await?
    };
    Ok(client.with_timeout(within))
}

/// The number of versions to ping at most; no program has more.
const MOST_VERSIONS: usize = 64;

/// Returns the versions to ping: the one that was named, or all from the lowest to the highest that
/// the server reports.
async fn versions(
    client: &Client,
    program: Program,
    version: Option<Version>,
) -> Result<Vec<Version>, CallError> {
    if let Some(version) = version {
        return Ok(vec![version]);
    }
    match client.null(program, 0.into()).await {
        Err(CallError::Rpc(RpcError::ProgMismatch { low, high })) => Ok((low.get()..=high.get())
            .take(MOST_VERSIONS)
            .map(Version::new)
            .collect()),
        Err(other) => Err(other),
        Ok(()) => Ok(vec![Version::new(0)]),
    }
}

fn with_version(text: &str) -> Result<(Program, Version), Failure> {
    let (program, version) = target::program(text)?;
    let version = version.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{text} names no version"))
            .hint(format!("write {text}:1, for example"))
    })?;
    Ok((program, version))
}

fn request(program: Program, version: Version, netid: &str, address: &str) -> Rpcb {
    Rpcb {
        program,
        version,
        netid: Name::truncated(netid),
        address: Name::truncated(address),
        owner: Name::default(),
    }
}

fn refused(program: Program, version: Version, netid: &str) -> Failure {
    let transport = if netid.is_empty() { "" } else { " on " };
    Failure::new(
        Exit::Denied,
        format!("the portmapper refuses program {program} version {version}{transport}{netid}"),
    )
    .hint("another user owns the registration, or it needs root: rpc-portmap list shows the owner")
}
