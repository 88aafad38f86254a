//! Registrations as people read them, in the layouts of `rpcinfo`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::json::Json;
use super::names::{Names, printable};
use crate::rpcbind::{Mapping, Netid, Rpcb};

/// As `rpcinfo` shows it: one line for each registration.
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
            names.of(entry.program).unwrap_or("-"),
            printable(&entry.owner),
        );
    }
    out
}

/// As `rpcinfo -p` shows it.
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
        let _ = match names.of(*program) {
            Some(name) => writeln!(out, "{line}  {name}"),
            None => writeln!(out, "{line}"),
        };
    }
    out
}

/// As `rpcinfo -s` shows it: one line for each program.
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
            names.of(first.program).unwrap_or("-"),
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

/// For programs to read.
pub(super) fn json(entries: &[Rpcb], names: &Names) -> Json {
    entries.iter().map(|entry| object(entry, names)).collect()
}

/// One registration, for programs to read.
pub(super) fn object(entry: &Rpcb, names: &Names) -> Json {
    Json::Object(vec![
        ("program", entry.program.into()),
        ("version", entry.version.into()),
        ("netid", Json::from(&*entry.netid)),
        ("address", Json::from(&*entry.address)),
        ("service", names.of(entry.program).into()),
        ("owner", Json::from(&*entry.owner)),
    ])
}

/// The mappings of version 2, for programs to read.
pub(super) fn mappings_json(mappings: &[Mapping], names: &Names) -> Json {
    let object = |mapping: &Mapping| {
        Json::Object(vec![
            ("program", mapping.program.into()),
            ("version", mapping.version.into()),
            ("protocol", mapping.protocol.into()),
            ("port", mapping.port.into()),
            ("service", names.of(mapping.program).into()),
        ])
    };
    mappings.iter().map(object).collect()
}
