//! Probes: a request whose transfer ends after the first answer.

use std::{net::SocketAddr, time::Duration};

use super::{TransferError, handshake::Opened};
use crate::proto::{Data, Error, ErrorCode, Options, Packet};

/// A server's answer to a probe.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Probe {
    /// The server's address and its port for the transfer.
    pub server: SocketAddr,
    /// Time from the first transmission of the request to the answer.
    pub round_trip: Duration,
    /// Retransmissions of the request.
    pub repeated: u32,
    /// The options that the server accepted; `None` if it ignores options.
    pub options: Option<Options>,
    /// The size of the file in bytes, if the OACK has it or the first block is the whole file.
    pub size: Option<u64>,
    /// The largest `blksize` in bytes whose packets are not fragmented, by the path MTU that the
    /// kernel has for the server: that of the interface, or of an ICMP message from a router.
    pub largest_unfragmented: Option<u16>,
}

impl Probe {
    /// Ends the transfer `opened` and returns the server's answer.
    pub(super) async fn end(mut opened: Opened) -> Self {
        let round_trip = opened.answered_at - opened.asked_at;
        // UEFI firmware ends its size queries with this code right after the OACK, so servers do
        // not log a failure.
        let mut packet = Vec::new();
        Error::new(ErrorCode::OptionNegotiation).encode(&mut packet);
        opened.connection.send(&packet).await;
        let mtu = opened.connection.path_mtu().await;
        let server = opened.connection.peer();
        Self {
            server,
            round_trip,
            repeated: opened.repeated,
            options: opened.oack,
            size: opened.oack.map_or_else(
                || opened.first_block.as_deref().and_then(whole_file),
                |oack| oack.tsize,
            ),
            largest_unfragmented: mtu.and_then(|mtu| fitting(server, mtu)),
        }
    }
}

/// Returns the size in bytes of a file that consists of its first block.
fn whole_file(first_block: &[u8]) -> Option<u64> {
    const FULL: usize = 512;
    match Packet::decode(first_block) {
        Ok(Packet::Data(Data { payload, .. })) if payload.len() < FULL => {
            Some(payload.len() as u64)
        }
        _ => None,
    }
}

/// Returns the largest block in an IP packet of `mtu` bytes.
fn fitting(server: SocketAddr, mtu: usize) -> Option<u16> {
    const UDP_AND_TFTP: usize = 8 + 4;
    let ip = if server.is_ipv4() { 20 } else { 40 };
    let block = mtu.checked_sub(ip + UDP_AND_TFTP)?;
    // The upper bound of RFC 2348.
    u16::try_from(block.min(65_464)).ok()
}

impl TransferError {
    /// Returns true if the server answered, also with a refusal: it is running.
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Options(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ethernet_carries_1468_bytes_over_ipv4_and_1448_over_ipv6() {
        let v4 = "192.0.2.1:69".parse().expect("an address");
        let v6 = "[2001:db8::1]:69".parse().expect("an address");
        assert_eq!(fitting(v4, 1500), Some(1468));
        assert_eq!(fitting(v6, 1500), Some(1448));
        assert_eq!(fitting(v4, 65_536), Some(65_464));
        assert_eq!(fitting(v4, 20), None);
    }

    #[test]
    fn a_short_first_block_is_the_whole_file() {
        assert_eq!(whole_file(b"\x00\x03\x00\x01abc"), Some(3));
        assert_eq!(whole_file(&[&[0, 3, 0, 1][..], &[7; 512]].concat()), None);
    }
}
