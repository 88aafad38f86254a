//! `list`, `get`, `ping`, `set`, `unset`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use super::exit::{self, Failure};
use super::json::Json;
use super::names::Names;
use super::{layout, target};
use crate::client::{CallError, Client, Rpcbind};
use crate::rpc::RpcError;
use crate::rpcbind::{Family, Name, Netid, Rpcb, UniversalAddress};
use crate::transport::now;

/// `list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Whom to ask.
    host: Option<String>,
    /// What version 2 knows: TCP and UDP over IPv4, as rpcinfo -p shows it.
    #[arg(long, visible_alias = "ports", conflicts_with = "short")]
    v2: bool,
    /// One line for each program, as rpcinfo -s shows it.
    #[arg(long)]
    short: bool,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// `get` and `ping`.
#[derive(Debug, clap::Args)]
#[command(allow_missing_positional = true)]
pub(super) struct ProgramArgs {
    /// Whom to ask.
    host: Option<String>,
    /// Which program: PROGRAM or PROGRAM:VERSION.
    program: String,
    /// Over UDP instead of TCP.
    #[arg(long)]
    udp: bool,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// This machine as others see it: what is looked up is to be called.
const LOOPBACK: &str = "127.0.0.1";

/// `set`.
#[derive(Debug, clap::Args)]
pub(super) struct SetArgs {
    /// Which program: PROGRAM:VERSION.
    program: String,
    /// The port it is on.
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

/// `unset`.
#[derive(Debug, clap::Args)]
pub(super) struct UnsetArgs {
    /// Which program: PROGRAM:VERSION.
    program: String,
    /// Transports, separated by commas; all if none is named.
    #[arg(long, value_name = "NETIDS", value_delimiter = ',')]
    netid: Vec<Netid>,
}

pub(super) async fn list(args: ListArgs, within: Duration) -> Result<ExitCode, Failure> {
    let rpcbind = target::portmapper(args.host.as_deref(), within).await?;
    let names = Names::load();
    if args.v2 {
        let mappings = rpcbind.mappings().await?;
        if args.json {
            println!("{}", layout::mappings_json(&mappings, &names));
        } else {
            print!("{}", layout::mappings(&mappings, &names));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let entries = rpcbind.dump().await?;
    if args.json {
        println!("{}", layout::json(&entries, &names));
    } else if args.short {
        print!("{}", layout::short(&entries, &names));
    } else {
        print!("{}", layout::full(&entries, &names));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn get(args: ProgramArgs, within: Duration) -> Result<ExitCode, Failure> {
    let (program, version) = target::program(&args.program)?;
    let host = target::resolve(args.host.as_deref().unwrap_or(LOOPBACK)).await?;
    let address = locate(host, program, version.unwrap_or(0), args.udp, within).await?;
    if args.json {
        let object = Json::Object(vec![
            ("program", program.into()),
            ("address", Json::from(&*address.to_string())),
        ]);
        println!("{object}");
    } else {
        println!("{address}");
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn ping(args: ProgramArgs, within: Duration) -> Result<ExitCode, Failure> {
    let (program, version) = target::program(&args.program)?;
    let host = target::resolve(args.host.as_deref().unwrap_or(LOOPBACK)).await?;
    let address = locate(host, program, version.unwrap_or(0), args.udp, within).await?;
    let client = connect(address, args.udp, within).await?;
    let mut all = true;
    let mut results = Vec::new();
    for version in versions(&client, program, version).await? {
        let start = now();
        let answer = client.null(program, version).await;
        let took = now().saturating_duration_since(start);
        all &= answer.is_ok();
        let micros = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        if args.json {
            results.push(Json::Object(vec![
                ("program", program.into()),
                ("version", version.into()),
                ("ready", Json::Flag(answer.is_ok())),
                ("microseconds", Json::Number(micros)),
            ]));
        } else {
            match answer {
                Ok(()) => {
                    println!(
                        "program {program} version {version} ready at {address} in {took:.1?}"
                    );
                }
                Err(why) => println!("program {program} version {version} is not available: {why}"),
            }
        }
    }
    if args.json {
        println!("{}", Json::List(results));
    }
    Ok(if all {
        ExitCode::SUCCESS
    } else {
        exit::NOT_THERE.into()
    })
}

pub(super) async fn set(args: SetArgs, within: Duration) -> Result<ExitCode, Failure> {
    let (program, version) = with_version(&args.program)?;
    let rpcbind = target::portmapper(None, within).await?;
    for netid in args.netid {
        let any = match netid.family() {
            Family::Inet => std::net::Ipv4Addr::UNSPECIFIED.into(),
            Family::Inet6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
            Family::Loopback => {
                return Err(Failure::new(exit::USAGE, "a unix socket has no port")
                    .hint("choose among tcp, udp, tcp6 and udp6"));
            }
        };
        let address = UniversalAddress::Ip(any, args.port.get()).to_string();
        let request = request(program, version, netid.name(), &address);
        if !rpcbind.set(&request).await? {
            return Err(refused(program, version, netid.name()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn unset(args: UnsetArgs, within: Duration) -> Result<ExitCode, Failure> {
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
    Ok(ExitCode::SUCCESS)
}

/// Where a program is, as its host's portmapper says.
async fn locate(
    host: SocketAddr,
    program: u32,
    version: u32,
    udp: bool,
    within: Duration,
) -> Result<SocketAddr, Failure> {
    let rpcbind = Rpcbind::new(connect(host, udp, within).await?);
    let netid = if udp { Netid::Udp } else { Netid::Tcp }.over(Family::from_ip(host.ip()));
    let found = rpcbind.address(program, version, netid).await?;
    let found = found.and_then(|address| address.merged(host.ip()).socket_addr());
    found.ok_or_else(|| {
        Failure::new(
            exit::NOT_THERE,
            format!("program {program} is not registered for {netid}"),
        )
        .hint(format!("rpc-portmap list {} shows what is", host.ip()))
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

/// More versions than any program has.
const MOST_VERSIONS: usize = 64;

/// The versions to ping: the one that was named, or all between the lowest and the highest that the
/// server says it has.
async fn versions(
    client: &Client,
    program: u32,
    version: Option<u32>,
) -> Result<Vec<u32>, CallError> {
    if let Some(version) = version {
        return Ok(vec![version]);
    }
    match client.null(program, 0).await {
        Err(CallError::Rpc(RpcError::ProgMismatch { low, high })) => {
            Ok((low..=high).take(MOST_VERSIONS).collect())
        }
        Err(other) => Err(other),
        Ok(()) => Ok(vec![0]),
    }
}

fn with_version(text: &str) -> Result<(u32, u32), Failure> {
    let (program, version) = target::program(text)?;
    let version = version.ok_or_else(|| {
        Failure::new(exit::USAGE, format!("{text} names no version"))
            .hint(format!("write {text}:1, for example"))
    })?;
    Ok((program, version))
}

fn request(program: u32, version: u32, netid: &str, address: &str) -> Rpcb {
    Rpcb {
        program,
        version,
        netid: Name::truncated(netid),
        address: Name::truncated(address),
        owner: Name::default(),
    }
}

fn refused(program: u32, version: u32, netid: &str) -> Failure {
    let transport = if netid.is_empty() { "" } else { " on " };
    Failure::new(
        exit::NOPERM,
        format!("the portmapper refuses: program {program} version {version}{transport}{netid}"),
    )
    .hint("it may be somebody else's, or need root: rpc-portmap list shows the owner")
}
