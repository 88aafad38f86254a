//! `eport sockets`: the sockets of the machine and the processes that hold them.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::report::Report;
use crate::address::Protocol;
use crate::ports::PortSet;
use crate::program::Failure;
use crate::system::{BoundSocket, Host, Process};

pub(super) fn sockets(
    host: &Host,
    ports: Option<&PortSet>,
    protocol: Option<Protocol>,
) -> Result<Report, Failure> {
    let mut sockets = Vec::new();
    let mut known = false;
    for one in [Protocol::Udp, Protocol::Tcp, Protocol::Sctp] {
        if protocol.is_none_or(|wanted| wanted == one) {
            let found = host.sockets(one)?;
            known |= found.is_some();
            sockets.extend(found.unwrap_or_default());
        }
    }
    sockets.retain(|socket| ports.is_none_or(|ports| ports.contains(socket.port())));
    let holders = Holders::find(host, &sockets);
    let text = match (known, sockets.is_empty()) {
        (false, _) => "this system does not list its sockets".into(),
        (true, true) => "no socket".into(),
        (true, false) => holders.table(&sockets),
    };
    Ok(Report::new(text, holders.json(&sockets)))
}

/// The processes that hold sockets, by inode, as far as they are visible.
pub(super) struct Holders(BTreeMap<u64, Vec<Process>>);

impl Holders {
    pub(super) fn find(host: &Host, sockets: &[BoundSocket]) -> Self {
        let inodes = sockets.iter().map(|socket| socket.inode);
        Self(host.holders(&inodes.filter(|inode| *inode != 0).collect()))
    }

    fn processes(&self, socket: &BoundSocket) -> &[Process] {
        let found = self.0.get(&socket.inode);
        found.map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns one line for each socket.
    pub(super) fn table(&self, sockets: &[BoundSocket]) -> String {
        let names: Vec<String> = sockets.iter().map(BoundSocket::to_string).collect();
        let width = names.iter().map(String::len).max().unwrap_or_default();
        let mut text = String::new();
        for (socket, name) in sockets.iter().zip(names) {
            let holder = self.describe(socket);
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {name:<width$}  uid {:<5}  {holder}", socket.uid);
        }
        text
    }

    fn describe(&self, socket: &BoundSocket) -> String {
        let names: Vec<String> = self
            .processes(socket)
            .iter()
            .map(Process::to_string)
            .collect();
        match (names.is_empty(), socket.inode) {
            (false, _) => names.join(", "),
            (true, 0) => "no process: the connection is closing".into(),
            (true, _) => "not visible".into(),
        }
    }

    /// Returns a list of objects: the socket, and under `holders` its processes.
    pub(super) fn json(&self, sockets: &[BoundSocket]) -> Value {
        let objects = sockets.iter().map(|socket| {
            let mut object = json!(socket);
            if let Some(fields) = object.as_object_mut() {
                fields.insert("holders".into(), json!(self.processes(socket)));
            }
            object
        });
        objects.collect()
    }
}
