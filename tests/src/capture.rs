//! Watches a transfer from outside: what passes on an interface, and from which port it came.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::host;
use crate::netns::Netns;
use crate::packet::Packet;
use crate::pcap::{self, Datagram};
use crate::peers;
use crate::process::Process;

/// How long `tcpdump` may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// What tells transfers apart and ends them: everything but the ACKs and the blocks after the first of
/// each. A long transfer is seen at a cost that does not grow with it. IPv4 and IPv6 need a form each,
/// since the filter language finds the payload of UDP in IPv4 only.
const FILTER: &str = "udp and \
    ((ip and (udp[8:2] < 3 or udp[8:2] > 4 or udp[8:4] = 0x30001 or udp[8:4] = 0x40000)) or \
    (ip6 and (ip6[48:2] < 3 or ip6[48:2] > 4 or ip6[48:4] = 0x30001 or ip6[48:4] = 0x40000)))";

/// Parts of datagrams that were too large for the link, of either family.
const FRAGMENTS: &str = "(ip[6:2] & 0x3fff != 0) or (ip6[6] = 44)";

/// A running capture on one interface of a namespace.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Process,
    file: PathBuf,
}

/// A request, and where it was answered from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transfer {
    /// The file's name.
    pub name: String,
    /// `octet` or `netascii`, in the client's spelling.
    pub mode: String,
    /// Who asked.
    pub client: SocketAddr,
    /// Which address was asked.
    pub asked: SocketAddr,
    /// From where the client was answered: one address, unless something is wrong.
    pub answered: BTreeSet<SocketAddr>,
}

impl Capture {
    /// Starts to watch transfers; returns when `tcpdump` listens. The file lies in `folder` and stays
    /// there.
    ///
    /// # Panics
    /// When `tcpdump` does not start.
    #[track_caller]
    pub fn start(namespace: &Netns, interface: &str, folder: &Path) -> Self {
        Self::of(namespace, interface, folder, FILTER)
    }

    /// As [`start`](Self::start), for nothing but fragments.
    ///
    /// # Panics
    /// When `tcpdump` does not start.
    #[track_caller]
    pub fn fragments(namespace: &Netns, interface: &str, folder: &Path) -> Self {
        Self::of(namespace, interface, folder, FRAGMENTS)
    }

    #[track_caller]
    fn of(namespace: &Netns, interface: &str, folder: &Path, filter: &str) -> Self {
        let file = folder.join("watched.pcap");
        let mut command = namespace.command(peers::path("tcpdump"));
        // Immediate: a packet still waiting in a block of the ring would be lost at the end.
        command.args([
            "-n",
            "-U",
            "--immediate-mode",
            "-Z",
            "root",
            "-s",
            "160",
            "-i",
            interface,
            "-w",
        ]);
        let tcpdump = Process::start(command.arg(&file).arg(filter));
        tcpdump.wait_for_line("listening on", PATIENCE);
        Self { tcpdump, file }
    }

    /// Stops, and returns the transfers that were seen, in the order of their requests.
    ///
    /// # Panics
    /// When `tcpdump` does not end, or has lost packets.
    #[track_caller]
    pub fn transfers(self) -> Vec<Transfer> {
        let file = self.stop();
        transfers(&pcap::datagrams(&file).expect("tcpdump writes pcap"))
    }

    /// Stops, and returns how many frames were seen.
    ///
    /// # Panics
    /// As [`transfers`](Self::transfers).
    #[track_caller]
    pub fn frames(self) -> usize {
        pcap::frames(&self.stop()).expect("tcpdump writes pcap")
    }

    #[track_caller]
    fn stop(mut self) -> Vec<u8> {
        self.tcpdump.interrupt();
        self.tcpdump.wait(PATIENCE);
        let report = self.tcpdump.output();
        assert!(
            report.contains("0 packets dropped by kernel"),
            "tcpdump has not seen everything:\n{report}"
        );
        host::read(&self.file)
    }
}

fn transfers(datagrams: &[Datagram]) -> Vec<Transfer> {
    let mut transfers: Vec<Transfer> = Vec::new();
    for datagram in datagrams {
        let (from, to) = (datagram.source, datagram.destination);
        if let Some(Packet::Request { name, mode, .. }) =
            Packet::from_bytes(&datagram.payload, datagram.length)
        {
            let same = |earlier: &Transfer| earlier.client == from && earlier.name == name;
            // An equal request before any answer is the same one, sent again.
            if !transfers
                .iter()
                .any(|earlier| same(earlier) && earlier.answered.is_empty())
            {
                transfers.push(Transfer {
                    name,
                    mode,
                    client: from,
                    asked: to,
                    answered: BTreeSet::new(),
                });
            }
        } else if let Some(transfer) = transfers
            .iter_mut()
            .rev()
            .find(|transfer| transfer.client == to)
        {
            transfer.answered.insert(from);
        }
    }
    transfers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn a_boot_that_asks_for_everything_from_one_port_is_fifteen_transfers() {
        let seen = transfers(&fixtures::capture(
            &fixtures::folder(),
            "lpxelinux-one-port",
        ));
        assert_eq!(seen.len(), 15);
        assert!(
            seen.iter().all(|transfer| transfer.answered.len() == 1),
            "{seen:?}"
        );
        assert!(seen.iter().all(|transfer| transfer.asked.port() == 69));
    }
}
