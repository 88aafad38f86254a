//! `eport explain`: the facts about one port.

use std::fmt::Write;

use serde_json::json;

use super::args::Respect;
use super::plan::planned;
use super::report::Report;
use super::sockets::Holders;
use crate::plan::{Plan, PortSpec};
use crate::ports::{PortClass, ProgramRange, Source};
use crate::program::Failure;
use crate::system::{BoundSocket, Host};

/// The facts about a port, handed out or not.
struct Facts {
    class: PortClass,
    kernel: Vec<String>,
    reserved: Vec<Source>,
    services: Vec<String>,
    programs: Vec<String>,
    sockets: Vec<BoundSocket>,
}

pub(super) fn explain(
    host: &Host,
    port: u16,
    ports: &PortSpec,
    respect: &Respect,
) -> Result<Report, Failure> {
    let plan = planned(host, ports, respect)?;
    let facts = Facts::collect(host, port, respect)?;
    let (handed_out, verdict) = verdict(&plan, port, &facts);
    let holders = Holders::find(host, &facts.sockets);
    let protocol = respect.protocol.0;
    let mut text = format!("{protocol} port {port}: {verdict}\n");
    for (name, values) in [
        ("class", vec![facts.class.to_string()]),
        ("ephemeral for", facts.kernel.clone()),
        ("reserved by", names(&facts.reserved)),
        ("services", facts.services.clone()),
        ("default of", facts.programs.clone()),
    ] {
        if !values.is_empty() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {name:<14} {}", values.join(", "));
        }
    }
    text += &holders.table(&facts.sockets);
    let json = json!({
        "port": port,
        "protocol": protocol,
        "handed_out": handed_out,
        "verdict": verdict,
        "class": facts.class,
        "ephemeral_for": facts.kernel,
        "reserved_by": facts.reserved,
        "services": facts.services,
        "default_of": facts.programs,
        "sockets": holders.json(&facts.sockets),
    });
    Ok(Report::new(text, json))
}

impl Facts {
    fn collect(host: &Host, port: u16, respect: &Respect) -> Result<Self, Failure> {
        let protocol = respect.protocol.0;
        let reserved = respect.sources().read(host)?;
        let services = host.services()?.into_iter();
        let sockets = host.sockets(protocol)?.unwrap_or_default().into_iter();
        let programs = ProgramRange::ALL.iter();
        Ok(Self {
            class: PortClass::from_port(port),
            kernel: names(&host.ephemeral()?.families(port).collect::<Vec<_>>()),
            reserved: reserved.sources(port).collect(),
            services: services
                .filter(|service| service.port == port && service.protocol == protocol)
                .map(|service| service.name)
                .collect(),
            programs: programs
                .filter(|program| program.range.contains(port))
                .map(ToString::to_string)
                .collect(),
            sockets: sockets.filter(|socket| socket.port() == port).collect(),
        })
    }
}

/// Returns true if the port is handed out, and the reason in words.
fn verdict(plan: &Plan, port: u16, facts: &Facts) -> (bool, String) {
    let sources: Vec<Source> = plan.left_out().sources(port).collect();
    if let Some(first) = sources.first() {
        let (names, remedy) = (names(&sources).join(", "), first.remedy());
        return (false, format!("not handed out: {names}; {remedy}"));
    }
    if !plan.ports().contains(port) {
        return (
            false,
            format!("not handed out: it is not among {}", plan.ports()),
        );
    }
    if facts.sockets.is_empty() {
        (true, "handed out".into())
    } else {
        (
            true,
            "handed out as soon as it is free: a socket holds it now".into(),
        )
    }
}

fn names(values: &[impl ToString]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}
