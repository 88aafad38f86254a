//! Everything there is to know about a host's ports, at one moment.

use std::collections::{BTreeMap, BTreeSet};

use super::{BoundSocket, Host, HostError, OpenFiles, Process, Service};
use crate::address::Protocol;
use crate::ports::{Ephemeral, PortRange, PortSet, Reserved, Source};

/// The state of a host's ports at one moment: plain values, to be filled by
/// [`Host::snapshot`] or by hand.
///
/// What the system does not report is `None` or empty.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// The ports that the kernel hands out by itself.
    pub ephemeral: Ephemeral,
    /// The ports that the kernel is configured not to choose (`net.ipv4.ip_local_reserved_ports`).
    pub kernel_reserved: PortSet,
    /// The ports in `/etc/bindresvport.blacklist`.
    pub blacklist: PortSet,
    /// The entries of `/etc/services`.
    pub services: Vec<Service>,
    /// All sockets with a port.
    pub sockets: Option<Vec<BoundSocket>>,
    /// The processes that hold them, by inode.
    pub holders: BTreeMap<u64, Vec<Process>>,
    /// The first port that needs no privilege (`net.ipv4.ip_unprivileged_port_start`).
    pub unprivileged_from: Option<u64>,
    /// Set when this process has `CAP_NET_BIND_SERVICE`.
    pub may_bind_privileged: Option<bool>,
    /// The number of files that this process may have open.
    pub open_files: Option<OpenFiles>,
    /// The largest receive buffer a socket may ask for, in bytes (`net.core.rmem_max`).
    pub receive_buffer_max: Option<u64>,
    /// The send buffer a socket has, in bytes (`net.core.wmem_default`).
    pub send_buffer: Option<u64>,
    /// The use of the connection tracker's table, where there is one.
    pub conntrack: Option<Conntrack>,
    /// The errors of what could not be read or parsed.
    pub unread: Vec<HostError>,
}

/// The use of the connection tracker's table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Conntrack {
    /// Entries there are (`net.netfilter.nf_conntrack_count`).
    pub entries: u64,
    /// Entries there can be (`net.netfilter.nf_conntrack_max`).
    pub limit: u64,
}

impl Snapshot {
    /// The processes that hold a socket, as far as they can be read.
    pub fn holders_of(&self, socket: &BoundSocket) -> &[Process] {
        self.holders
            .get(&socket.inode)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The sockets that are known.
    pub fn known_sockets(&self) -> &[BoundSocket] {
        self.sockets.as_deref().unwrap_or_default()
    }

    /// The ports that `/etc/services` names, of any protocol.
    pub fn service_ports(&self) -> PortSet {
        let ports = self.services.iter().map(|service| service.port);
        ports
            .filter_map(|port| PortRange::new(port, port).ok())
            .collect()
    }

    /// The ports that [`Sources::default`](super::Sources) would reserve.
    pub fn reserved(&self) -> Reserved {
        Reserved::default()
            .with(Source::KernelReserved, &self.kernel_reserved)
            .with(Source::BindresvportBlacklist, &self.blacklist)
    }
}

impl Host {
    /// Reads everything. What fails is listed in [`Snapshot::unread`], and the rest is
    /// there.
    pub fn snapshot(&self) -> Snapshot {
        let mut unread = Vec::new();
        let mut snapshot = Snapshot {
            ephemeral: or_note(self.ephemeral(), &mut unread),
            kernel_reserved: or_note(self.reserved_ports(), &mut unread),
            blacklist: or_note(self.bindresvport_blacklist(), &mut unread),
            services: or_note(self.services(), &mut unread),
            unprivileged_from: or_note(
                self.number("net/ipv4/ip_unprivileged_port_start"),
                &mut unread,
            ),
            may_bind_privileged: or_note(self.may_bind_privileged(), &mut unread),
            open_files: or_note(self.open_files(), &mut unread),
            receive_buffer_max: or_note(self.number("net/core/rmem_max"), &mut unread),
            send_buffer: or_note(self.number("net/core/wmem_default"), &mut unread),
            conntrack: or_note(self.conntrack(), &mut unread),
            ..Snapshot::default()
        };
        for protocol in [Protocol::Udp, Protocol::Tcp, Protocol::Sctp] {
            if let Some(found) = or_note(self.sockets(protocol), &mut unread) {
                snapshot.sockets.get_or_insert_default().extend(found);
            }
        }
        snapshot.holders = self.holders(&inodes(snapshot.known_sockets()));
        snapshot.unread = unread;
        snapshot
    }

    fn conntrack(&self) -> Result<Option<Conntrack>, HostError> {
        let entries = self.number("net/netfilter/nf_conntrack_count")?;
        let limit = self.number("net/netfilter/nf_conntrack_max")?;
        let both = entries.zip(limit);
        Ok(both.map(|(entries, limit)| Conntrack { entries, limit }))
    }
}

/// The inodes of the sockets that a process has.
fn inodes(sockets: &[BoundSocket]) -> BTreeSet<u64> {
    let held = sockets.iter().map(|socket| socket.inode);
    held.filter(|inode| *inode != 0).collect()
}

fn or_note<T: Default>(answer: Result<T, HostError>, unread: &mut Vec<HostError>) -> T {
    answer.unwrap_or_else(|error| {
        unread.push(error);
        T::default()
    })
}
