//! `eport firewall`: the rules that let clients reach ports.

use serde_json::json;

use super::args::{Firewall, Kind};
use super::report::Report;
use crate::address::Protocol;
use crate::allocator::Allocator;
use crate::ports::{PortRange, PortSet};
use crate::program::Failure;
use crate::system::Host;

pub(super) fn firewall(host: &Host, args: &Firewall) -> Result<Report, Failure> {
    let plan = Allocator::builder()
        .host(host.clone())
        .ports(args.ports.clone())
        .plan()?;
    let servers = args.server.iter();
    let ports = servers.fold(plan.ports().clone(), |all, port| all.union(port));
    let protocol = args.protocol.0;
    let rules = match args.kind {
        Kind::Nft => nft(protocol, &ports),
        Kind::Iptables => iptables(protocol, &ports),
        Kind::Firewalld => firewalld(protocol, &ports),
    };
    let text = format!(
        "{}{}",
        comment(args.kind, protocol, &ports),
        rules.join("\n")
    );
    let json = json!({
        "protocol": protocol,
        "ports": ports,
        "rules": rules,
    });
    Ok(Report::new(text, json))
}

/// Returns the comment above the rules: their purpose, and when they are not needed.
fn comment(kind: Kind, protocol: Protocol, ports: &PortSet) -> String {
    let how = match kind {
        Kind::Nft => "Load this file with nft -f; name your own chain if it is not this one.",
        Kind::Iptables | Kind::Firewalld => "Run these commands as root.",
    };
    format!(
        "# Lets clients reach {protocol} ports {ports}.\n\
         # {how}\n\
         # Where established connections are accepted, ports from which this host sends first need\n\
         # no rule: the answers belong to an established connection.\n"
    )
}

/// Returns a batch that loads into an empty rule set as well as into one that has the chain, whose
/// policy and rules stay. The rule comes first, so that it is not behind a final `reject`.
fn nft(protocol: Protocol, ports: &PortSet) -> Vec<String> {
    let runs: Vec<String> = ports.runs().map(|run| run.to_string()).collect();
    vec![
        "add table inet filter".into(),
        "add chain inet filter input { type filter hook input priority filter; }".into(),
        format!(
            "insert rule inet filter input {protocol} dport {{ {} }} accept comment \"eport\"",
            runs.join(", ")
        ),
    ]
}

fn iptables(protocol: Protocol, ports: &PortSet) -> Vec<String> {
    let rule = |command: &str, run: PortRange| {
        let (first, last) = (run.first(), run.last());
        format!("{command} -I INPUT -p {protocol} --dport {first}:{last} -j ACCEPT")
    };
    let both = |run| [rule("iptables", run), rule("ip6tables", run)];
    ports.runs().flat_map(both).collect()
}

fn firewalld(protocol: Protocol, ports: &PortSet) -> Vec<String> {
    let add = |run| format!("firewall-cmd --permanent --add-port={run}/{protocol}");
    let reload = ["firewall-cmd --reload".to_owned()];
    ports.runs().map(add).chain(reload).collect()
}
