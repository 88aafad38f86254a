//! What a server would do, without doing it.

use std::{net::SocketAddr, time::Duration};

use super::{TransferError, handshake::Opened};
use crate::proto::{Data, Error, ErrorCode, Options, Packet};

/// What a server answered to a probe.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Probe {
    /// The address and the port that the transfer would have been carried on from.
    pub server: SocketAddr,
    /// From the request to the answer; if the request had to be repeated, from its first sending.
    pub round_trip: Duration,
    /// How often the request had to be repeated.
    pub repeated: u32,
    /// The options that the server accepted; `None` if it ignores options.
    pub options: Option<Options>,
    /// The size of the file in bytes, if the server says it, or has sent the whole file already.
    pub size: Option<u64>,
    /// The largest `blksize` whose packets travel in one piece, as far as this machine knows: its
    /// own MTU, or that of a router that has complained.
    pub largest_unfragmented: Option<u16>,
}

impl Probe {
    /// Ends what `opened` began, and says what has been learnt.
    pub(super) async fn end(mut opened: Opened) -> Self {
        let round_trip = opened.answered_at - opened.asked_at;
        // Right after the OACK this is what UEFI does to learn a size: no server takes it for a
        // failure.
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

/// The size of a file that is no longer than its first block.
fn whole_file(first_block: &[u8]) -> Option<u64> {
    const FULL: usize = 512;
    match Packet::decode(first_block) {
        Ok(Packet::Data(Data { payload, .. })) if payload.len() < FULL => {
            Some(payload.len() as u64)
        }
        _ => None,
    }
}

/// The largest block in an IP packet of `mtu` bytes.
fn fitting(server: SocketAddr, mtu: usize) -> Option<u16> {
    const UDP_AND_TFTP: usize = 8 + 4;
    let ip = if server.is_ipv4() { 20 } else { 40 };
    let block = mtu.checked_sub(ip + UDP_AND_TFTP)?;
    // RFC 2348 allows no more.
    u16::try_from(block.min(65_464)).ok()
}

impl TransferError {
    /// Whether the server answered, if only to refuse: it is there.
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
