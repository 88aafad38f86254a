//! Reads UDP datagrams out of a capture file: classic pcap, Ethernet or Linux cooked, IPv4 and IPv6.
//!
//! Frames of other protocols are skipped; of a fragmented datagram only the first fragment is read,
//! which holds addresses, length, and the beginning of the payload.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// A datagram, as far as the capture kept it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Datagram {
    /// The number of the frame in the file, from 1 on, as other readers count.
    pub frame: usize,
    /// Time of capture, since 1970.
    pub time: Duration,
    /// The sender.
    pub source: SocketAddr,
    /// The receiver.
    pub destination: SocketAddr,
    /// The length of the payload on the wire, in bytes.
    pub length: usize,
    /// The payload, cut where the capture cut it.
    pub payload: Vec<u8>,
}

/// An error in a capture file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PcapError {
    /// The file does not start as a classic pcap file does.
    #[error("not a pcap file: it starts with none of the known magic numbers (pcapng is not read)")]
    Magic,
    /// The link layer is neither Ethernet (1) nor Linux cooked (113, 276).
    #[error("link layer {0} is not read, only Ethernet (1) and Linux cooked (113, 276)")]
    Link(u32),
    /// The file ends inside a frame.
    #[error("the file ends inside frame {0}")]
    Truncated(usize),
}

/// Returns the UDP datagrams of a capture file, in order.
///
/// # Errors
/// If the file is no capture, has another link layer, or ends inside a frame.
pub fn datagrams(file: &[u8]) -> Result<Vec<Datagram>, PcapError> {
    let mut found = Vec::new();
    each_frame(file, |frame, time, header, bytes| {
        found.extend(datagram(header, bytes).map(|datagram| Datagram {
            frame,
            time,
            ..datagram
        }));
    })?;
    Ok(found)
}

/// Returns the number of frames in a capture file, of any protocol.
///
/// # Errors
/// As [`datagrams`].
pub fn frames(file: &[u8]) -> Result<usize, PcapError> {
    let mut count = 0;
    each_frame(file, |frame, _, _, _| count = frame)?;
    Ok(count)
}

/// Calls `each` with number, time, link layer and bytes of every frame.
fn each_frame(
    file: &[u8],
    mut each: impl FnMut(usize, Duration, LinkHeader, &[u8]),
) -> Result<(), PcapError> {
    let mut reader = Reader {
        rest: file,
        swapped: false,
    };
    let nanoseconds = match reader.u32() {
        Some(0xa1b2_c3d4) => false,
        Some(0xa1b2_3c4d) => true,
        Some(0xd4c3_b2a1) => reader.swap(false),
        Some(0x4d3c_b2a1) => reader.swap(true),
        _ => return Err(PcapError::Magic),
    };
    reader.take(16).ok_or(PcapError::Magic)?;
    let link = reader.u32().ok_or(PcapError::Magic)? & 0xffff;
    let header = link_header(link).ok_or(PcapError::Link(link))?;

    let mut frame = 1;
    while !reader.rest.is_empty() {
        let (time, bytes) = reader
            .frame(nanoseconds)
            .ok_or(PcapError::Truncated(frame))?;
        each(frame, time, header, bytes);
        frame += 1;
    }
    Ok(())
}

/// A link layer: offset of the type of its payload, and length of its header.
#[derive(Clone, Copy)]
struct LinkHeader {
    kind_at: usize,
    length: usize,
}

fn link_header(link: u32) -> Option<LinkHeader> {
    match link {
        1 => Some(LinkHeader {
            kind_at: 12,
            length: 14,
        }),
        113 => Some(LinkHeader {
            kind_at: 14,
            length: 16,
        }),
        276 => Some(LinkHeader {
            kind_at: 0,
            length: 20,
        }),
        _ => None,
    }
}

fn datagram(link: LinkHeader, frame: &[u8]) -> Option<Datagram> {
    let packet = frame.get(link.length..)?;
    match u16_at(frame, link.kind_at)? {
        0x0800 => ipv4(packet),
        0x86dd => ipv6(packet),
        _ => None,
    }
}

/// RFC 791 §3.1.
fn ipv4(packet: &[u8]) -> Option<Datagram> {
    let header_length = usize::from(packet.first()? & 0x0f) * 4;
    let first_fragment = u16_at(packet, 6)? << 3 == 0;
    if *packet.get(9)? != 17 || !first_fragment {
        return None;
    }
    let address = |at| Some(IpAddr::from(Ipv4Addr::from(array_at::<4>(packet, at)?)));
    udp(address(12)?, address(16)?, packet.get(header_length..)?)
}

/// RFC 8200 §3; of the extension headers only the fragment header (§4.5) is known.
fn ipv6(packet: &[u8]) -> Option<Datagram> {
    let address = |at| Some(IpAddr::from(Ipv6Addr::from(array_at::<16>(packet, at)?)));
    let payload = match *packet.get(6)? {
        17 => packet.get(40..)?,
        44 if *packet.get(40)? == 17 && u16_at(packet, 42)? & 0xfff8 == 0 => packet.get(48..)?,
        _ => return None,
    };
    udp(address(8)?, address(24)?, payload)
}

/// RFC 768.
fn udp(source: IpAddr, destination: IpAddr, packet: &[u8]) -> Option<Datagram> {
    let length = usize::from(u16_at(packet, 4)?).checked_sub(8)?;
    let kept = packet.get(8..)?;
    Some(Datagram {
        frame: 0,
        time: Duration::ZERO,
        source: SocketAddr::new(source, u16_at(packet, 0)?),
        destination: SocketAddr::new(destination, u16_at(packet, 2)?),
        length,
        // Ethernet pads short frames.
        payload: kept.get(..length).unwrap_or(kept).to_vec(),
    })
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_be_bytes)
}

/// The unread rest of the file, and its byte order.
struct Reader<'a> {
    rest: &'a [u8],
    swapped: bool,
}

impl<'a> Reader<'a> {
    fn swap(&mut self, nanoseconds: bool) -> bool {
        self.swapped = true;
        nanoseconds
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        let number = u32::from_le_bytes(array_at(self.take(4)?, 0)?);
        Some(if self.swapped {
            number.swap_bytes()
        } else {
            number
        })
    }

    fn frame(&mut self, nanoseconds: bool) -> Option<(Duration, &'a [u8])> {
        let seconds = self.u32()?;
        let fraction = self.u32()?;
        let kept = self.u32()?;
        let _on_the_wire = self.u32()?;
        let nanos = if nanoseconds {
            fraction
        } else {
            fraction.checked_mul(1000)?
        };
        let bytes = self.take(usize::try_from(kept).ok()?)?;
        Some((Duration::new(seconds.into(), nanos), bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(frame: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([0, 0, 4, 0, 1, 0, 0, 0]);
        bytes.extend([7, 0, 0, 0, 9, 0, 0, 0]);
        let length = u32::try_from(frame.len())
            .expect("a short frame")
            .to_le_bytes();
        bytes.extend(length);
        bytes.extend(length);
        bytes.extend(frame);
        bytes
    }

    fn ack_over_ipv4() -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([
            8, 0, 0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ]);
        frame.extend([0x04, 0x00, 0xf0, 0x00, 0, 12, 0, 0, 0, 4, 0, 1]);
        frame.extend([0; 14]);
        frame
    }

    #[test]
    fn a_datagram_is_read_without_the_padding_of_its_frame() {
        let expected = Datagram {
            frame: 1,
            time: Duration::new(7, 9_000),
            source: "10.0.0.1:1024".parse().expect("an address"),
            destination: "10.0.0.2:61440".parse().expect("an address"),
            length: 4,
            payload: vec![0, 4, 0, 1],
        };
        assert_eq!(datagrams(&file(&ack_over_ipv4())), Ok(vec![expected]));
    }

    #[test]
    fn later_fragments_and_other_protocols_are_skipped() {
        let mut fragment = ack_over_ipv4();
        fragment[21] = 1;
        assert_eq!(datagrams(&file(&fragment)), Ok(vec![]));
        let mut tcp = ack_over_ipv4();
        tcp[23] = 6;
        assert_eq!(datagrams(&file(&tcp)), Ok(vec![]));
    }

    #[test]
    fn every_cut_of_a_file_is_refused_or_read_without_a_panic() {
        let whole = file(&ack_over_ipv4());
        for length in 0..whole.len() {
            let outcome = datagrams(whole.get(..length).expect("shorter"));
            assert!(outcome.is_err() || length == 24, "{length}: {outcome:?}");
        }
    }
}
