//! Captures the packets of transfers on an interface with `tcpdump`, with their addresses and ports.

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

/// Limit for `tcpdump` to start or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Requests, first blocks, first ACKs, OACKs and ERRORs: enough to distinguish transfers, at a cost
/// that does not grow with their length. IPv4 and IPv6 need a form each, because the filter language
/// finds the payload of UDP in IPv4 only.
const FILTER: &str = "udp and \
    ((ip and (udp[8:2] < 3 or udp[8:2] > 4 or udp[8:4] = 0x30001 or udp[8:4] = 0x40000)) or \
    (ip6 and (ip6[48:2] < 3 or ip6[48:2] > 4 or ip6[48:4] = 0x30001 or ip6[48:4] = 0x40000)))";

/// IP fragments of either family.
const FRAGMENTS: &str = "(ip[6:2] & 0x3fff != 0) or (ip6[6] = 44)";

/// A running capture on one interface of a namespace.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Process,
    file: PathBuf,
}

/// A request, and the addresses that its answers came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transfer {
    /// The file's name.
    pub name: String,
    /// `octet` or `netascii`, in the client's spelling.
    pub mode: String,
    /// Address of the client.
    pub client: SocketAddr,
    /// Destination of the request.
    pub asked: SocketAddr,
    /// Sources of the answers: one address, unless something is wrong.
    pub answered: BTreeSet<SocketAddr>,
}

impl Capture {
    /// Starts a capture of transfers and returns when `tcpdump` listens. The file is kept in `folder`.
    ///
    /// # Panics
    /// When `tcpdump` does not start.
    #[track_caller]
    pub fn start(namespace: &Netns, interface: &str, folder: &Path) -> Self {
        Self::filtered(namespace, interface, folder, FILTER)
    }

    /// Starts a capture of fragments only, like [`start`](Self::start).
    ///
    /// # Panics
    /// When `tcpdump` does not start.
    #[track_caller]
    pub fn fragments(namespace: &Netns, interface: &str, folder: &Path) -> Self {
        Self::filtered(namespace, interface, folder, FRAGMENTS)
    }

    #[track_caller]
    fn filtered(namespace: &Netns, interface: &str, folder: &Path, filter: &str) -> Self {
        let file = folder.join("watched.pcap");
        let mut command = namespace.command(peers::path("tcpdump"));
        // Immediate: a packet still in a block of the ring would be lost at the end.
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

    /// Stops the capture and returns the transfers, in the order of their requests.
    ///
    /// # Panics
    /// If `tcpdump` does not end, or has lost packets.
    #[track_caller]
    pub fn transfers(self) -> Vec<Transfer> {
        let file = self.stop();
        transfers(&pcap::datagrams(&file).expect("tcpdump writes pcap"))
    }

    /// Stops the capture and returns the number of frames.
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
            // An equal request before any answer is a retransmission.
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
