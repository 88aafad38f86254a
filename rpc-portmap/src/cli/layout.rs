//! Registrations in the layouts of `rpcinfo`, and as JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::names::{Names, printable};
use crate::rpcbind::{Mapping, Netid, Rpcb};

/// Returns the layout of `rpcinfo`: one line for each registration.
pub(super) fn full(entries: &[Rpcb], names: &Names) -> String {
    let mut out =
        String::from("   program version netid     address                service    owner\n");
    for entry in entries {
        let _ = writeln!(
            out,
            "{:>10}{:>5}    {:<9} {:<22} {:<10} {}",
            entry.program,
            entry.version,
            printable(&entry.netid),
            printable(&entry.address),
            names.name(entry.program).unwrap_or("-"),
            printable(&entry.owner),
        );
    }
    out
}

/// Returns the layout of `rpcinfo -p`.
pub(super) fn mappings(mappings: &[Mapping], names: &Names) -> String {
    let mut out = String::from("   program vers proto   port  service\n");
    for mapping in mappings {
        let Mapping {
            program,
            version,
            protocol,
            port,
        } = mapping;
        let transport = Netid::from_protocol_number(*protocol)
            .map_or_else(|| protocol.to_string(), |netid| netid.to_string());
        let line = format!("{program:>10}{version:>5}{transport:>6}{port:>7}");
        let _ = match names.name(*program) {
            Some(name) => writeln!(out, "{line}  {name}"),
            None => writeln!(out, "{line}"),
        };
    }
    out
}

/// Returns the layout of `rpcinfo -s`: one line for each program.
pub(super) fn short(entries: &[Rpcb], names: &Names) -> String {
    let mut out =
        String::from("   program version(s) netid(s)                         service     owner\n");
    let mut done = BTreeSet::new();
    for first in entries {
        if !done.insert(first.program) {
            continue;
        }
        let same = || {
            entries
                .iter()
                .filter(|entry| entry.program == first.program)
        };
        // The latest first, as rpcinfo has it.
        let mut versions = Vec::new();
        let mut netids = Vec::new();
        for entry in same() {
            add_first(&mut versions, entry.version.to_string());
            add_first(&mut netids, printable(&entry.netid));
        }
        let _ = writeln!(
            out,
            "{:>10}  {:<10}{:<32} {:<11} {}",
            first.program,
            versions.join(","),
            netids.join(","),
            names.name(first.program).unwrap_or("-"),
            printable(&first.owner),
        );
    }
    out
}

fn add_first(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.insert(0, item);
    }
}

/// Returns a list of objects.
pub(super) fn json(entries: &[Rpcb], names: &Names) -> Value {
    entries.iter().map(|entry| object(entry, names)).collect()
}

/// Returns the object of one registration.
pub(super) fn object(entry: &Rpcb, names: &Names) -> Value {
    json!({
        "program": entry.program.get(),
        "version": entry.version.get(),
        "netid": *entry.netid,
        "address": *entry.address,
        "service": names.name(entry.program),
        "owner": *entry.owner,
    })
}

/// Returns the mappings of version 2 as a list of objects.
pub(super) fn mappings_json(mappings: &[Mapping], names: &Names) -> Value {
    let object = |mapping: &Mapping| {
        json!({
            "program": mapping.program.get(),
            "version": mapping.version.get(),
            "protocol": mapping.protocol,
            "port": mapping.port,
            "service": names.name(mapping.program),
        })
    };
    mappings.iter().map(object).collect()
}
