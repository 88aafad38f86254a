//! Requests for the kernel's list of sockets and its replies, as bytes (`sock_diag(7)`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::socket::{BoundSocket, SocketState};
use crate::address::{AddressFamily, Protocol};

/// Bytes of a netlink header, and of the part of an answer that every socket has.
const HEADER: usize = 16;
const SOCKET: usize = 72;

/// Numbers of `linux/netlink.h`, `linux/sock_diag.h` and `linux/inet_diag.h`.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const INET_DIAG_SKV6ONLY: u16 = 11;
const EVERY_STATE: u32 = u32::MAX;
/// The mask of `TCP_LISTEN`.
const LISTENING: u32 = 1 << 10;

/// The sockets that a request asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Filter {
    /// All sockets of the family, by a dump.
    All,
    /// Those with this port that take datagrams or accept connections, by a dump.
    Port(u16),
    /// The one that takes what is sent to this address, by a look-up.
    ReachedAt(SocketAddr),
}

impl Filter {
    /// Returns true if the kernel answers with any number of messages and [`Reply::Done`]; otherwise
    /// one message is all.
    pub(super) const fn is_dump(self) -> bool {
        !matches!(self, Self::ReachedAt(_))
    }
}

/// The request for the sockets of a protocol and a family, `struct inet_diag_req_v2`.
///
/// ```text
///  16 bytes       1        1          1     1   4 bytes   48 bytes
/// ┌──────────────┬────────┬──────────┬─────┬───┬─────────┬─────────────────┐
/// │ nlmsghdr     │ family │ protocol │ ext │ 0 │ states  │ inet_diag_sockid│
/// └──────────────┴────────┴──────────┴─────┴───┴─────────┴─────────────────┘
/// ```
pub(super) fn request(
    protocol: Protocol,
    family: AddressFamily,
    filter: Filter,
    sequence: u32,
) -> Vec<u8> {
    const LENGTH: u32 = 72;
    let dump = if filter.is_dump() { NLM_F_DUMP } else { 0 };
    let states = match (protocol, filter) {
        (Protocol::Udp, _) | (_, Filter::All) => EVERY_STATE,
        _ => LISTENING,
    };
    let mut bytes = Vec::with_capacity(HEADER + 56);
    bytes.extend(LENGTH.to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | dump).to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend([family_number(family), protocol_number(protocol), 0, 0]);
    bytes.extend(states.to_ne_bytes());
    bytes.extend(socket_id(protocol, filter));
    bytes
}

/// The ends of the socket that is asked for, `struct inet_diag_sockid`: ports, addresses, interface,
/// cookie.
fn socket_id(protocol: Protocol, filter: Filter) -> Vec<u8> {
    // INET_DIAG_NOCOOKIE; a dump does not look at it.
    const NO_COOKIE: [u8; 8] = [0xff; 8];
    let (port, address, cookie) = match filter {
        Filter::All => (0, [0; 16], [0; 8]),
        Filter::Port(port) => (port, [0; 16], NO_COOKIE),
        Filter::ReachedAt(address) => (address.port(), octets(address.ip()), NO_COOKIE),
    };
    let mut ends = [(port, address), (0, [0; 16])];
    // The look-up of one UDP socket takes source and destination in reverse ("swapped for historical
    // reasons" in net/ipv4/udp_diag.c).
    if protocol == Protocol::Udp && !filter.is_dump() {
        ends.reverse();
    }
    let ports = ends.iter().flat_map(|(port, _)| port.to_be_bytes());
    let addresses = ends.iter().flat_map(|(_, address)| *address);
    let interface = [0; 4];
    let id = ports.chain(addresses).chain(interface).chain(cookie);
    id.collect()
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// One message of a reply.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Reply {
    /// One socket.
    Socket(BoundSocket),
    /// The end of a dump.
    Done,
    /// An error with this number (`errno`).
    Refused(i32),
    /// A message of another kind, to be skipped.
    Other,
}

/// The error for bytes that the kernel does not send.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Malformed;

/// Splits one received datagram into its messages. Replies to other requests than `sequence` are
/// skipped.
pub(super) fn replies(
    mut bytes: &[u8],
    protocol: Protocol,
    sequence: u32,
) -> Result<Vec<Reply>, Malformed> {
    let mut replies = Vec::new();
    while !bytes.is_empty() {
        let mut header = Fields(bytes);
        let length = usize::try_from(header.native_u32()?).map_err(|_| Malformed)?;
        let (kind, _flags) = (header.native_u16()?, header.native_u16()?);
        let answers = header.native_u32()?;
        let body = bytes.get(HEADER..length).ok_or(Malformed)?;
        if answers == sequence {
            replies.push(reply(kind, body, protocol)?);
        }
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
    }
    Ok(replies)
}

fn reply(kind: u16, body: &[u8], protocol: Protocol) -> Result<Reply, Malformed> {
    match kind {
        SOCK_DIAG_BY_FAMILY => socket(body, protocol).map(Reply::Socket),
        // The end of a dump carries an error number, too: of a dump that could not begin.
        NLMSG_DONE | NLMSG_ERROR => Ok(match Fields(body).native_u32().map(u32::cast_signed) {
            Ok(error) if error < 0 => Reply::Refused(error.saturating_neg()),
            _ if kind == NLMSG_DONE => Reply::Done,
            _ => Reply::Other,
        }),
        _ => Ok(Reply::Other),
    }
}

/// Reads a `struct inet_diag_msg` and the attributes behind it.
///
/// ```text
///  1        1       1       1         2      2      16     16     4      8        4 + 4 + 4       4     4
/// ┌────────┬───────┬───────┬─────────┬──────┬──────┬──────┬──────┬──────┬────────┬───────────────┬─────┬───────┐
/// │ family │ state │ timer │ retrans │ port │ port │ addr │ addr │ if   │ cookie │ expires, r, w │ uid │ inode │
/// └────────┴───────┴───────┴─────────┴──────┴──────┴──────┴──────┴──────┴────────┴───────────────┴─────┴───────┘
///                                     local  peer   local  peer
/// ```
fn socket(body: &[u8], protocol: Protocol) -> Result<BoundSocket, Malformed> {
    let mut fields = Fields(body);
    let [family, state, _, _] = fields.take::<4>()?;
    let family = [AddressFamily::Ipv4, AddressFamily::Ipv6]
        .into_iter()
        .find(|one| family_number(*one) == family)
        .ok_or(Malformed)?;
    let (local_port, peer_port) = (fields.network_u16()?, fields.network_u16()?);
    let (local, peer) = (fields.take::<16>()?, fields.take::<16>()?);
    let interface = fields.native_u32()?;
    fields.take::<20>()?;
    let (uid, inode) = (fields.native_u32()?, fields.native_u32()?);
    Ok(BoundSocket {
        protocol,
        family,
        local: address(family, local, local_port, interface),
        only_v6: attribute(body.get(SOCKET..).unwrap_or_default(), INET_DIAG_SKV6ONLY)
            .map(|value| value.first() == Some(&1)),
        interface,
        peer: (peer_port != 0).then(|| address(family, peer, peer_port, interface)),
        state: SocketState::numbered(state),
        uid,
        inode: inode.into(),
    })
}

fn address(family: AddressFamily, bytes: [u8; 16], port: u16, interface: u32) -> SocketAddr {
    match family {
        AddressFamily::Ipv4 => {
            let [a, b, c, d, ..] = bytes;
            SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port)
        }
        AddressFamily::Ipv6 => {
            let ip = Ipv6Addr::from(bytes);
            let scope = if ip.is_unicast_link_local() {
                interface
            } else {
                0
            };
            SocketAddrV6::new(ip, port, 0, scope).into()
        }
    }
}

/// The value of the first attribute of a kind.
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let mut header = Fields(bytes);
        let length = usize::from(header.native_u16().ok()?);
        let kind = header.native_u16().ok()?;
        let value = bytes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        bytes = bytes.get(aligned(length)..)?;
    }
}

/// Messages and attributes begin at multiples of four bytes.
const fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

const fn family_number(family: AddressFamily) -> u8 {
    match family {
        AddressFamily::Ipv4 => 2,
        AddressFamily::Ipv6 => 10,
    }
}

const fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// Bytes from which fields are taken one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*field)
    }

    fn native_u16(&mut self) -> Result<u16, Malformed> {
        self.take().map(u16::from_ne_bytes)
    }

    fn native_u32(&mut self) -> Result<u32, Malformed> {
        self.take().map(u32::from_ne_bytes)
    }

    fn network_u16(&mut self) -> Result<u16, Malformed> {
        self.take().map(u16::from_be_bytes)
    }
}

/// The bytes are those of a little-endian machine: netlink has the machine's order.
#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    /// Recorded from Linux 6.18 for a UDP socket on 127.0.0.1:61000, connected to port 4000.
    const CONNECTED: &str = "7c0000001400020001000000451c0000 02010000 ee480fa0 \
        7f000001000000000000000000000000 7f000001000000000000000000000000 00000000 0110000000000000 \
        000000000000000000000000 00000000 27d37d01 \
        0500080000000000 08000f0000000000 0c0015000100000000000000 0600160050000000";
    /// The same for one on [::]:69 with `IPV6_V6ONLY`.
    const ONLY_V6: &str = "840000001400020001000000451c0000 0a070000 00450000 \
        00000000000000000000000000000000 00000000000000000000000000000000 00000000 0210000000000000 \
        000000000000000000000000 00000000 26d37d01 \
        0500080000000000 05000b0001000000 08000f0000000000 0c0015000100000000000000 0600160010000000";
    const DONE: &str = "140000000300020001000000451c0000 00000000";
    /// The end of a dump for a protocol that the kernel does not have.
    const NO_SCTP: &str = "140000000300020001000000451c0000 feffffff";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(|digit| *digit != b' ').collect();
        let byte = |pair: &[u8]| {
            let text = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(text, 16).expect("hex")
        };
        digits.chunks(2).map(byte).collect()
    }

    fn read(hex: &str) -> Result<Vec<Reply>, Malformed> {
        replies(&bytes(hex), Protocol::Udp, 1)
    }

    #[test]
    fn recorded_replies_are_decoded() {
        let found = read(&[CONNECTED, ONLY_V6, DONE].concat()).expect("well-formed");
        let [
            Reply::Socket(connected),
            Reply::Socket(only_v6),
            Reply::Done,
        ] = found.as_slice()
        else {
            panic!("{found:?}")
        };
        assert_eq!(
            connected.to_string(),
            "udp 127.0.0.1:61000 connected to 127.0.0.1:4000"
        );
        assert_eq!((connected.uid, connected.inode), (0, 0x017d_d327));
        assert_eq!(only_v6.to_string(), "udp [::]:69 unconnected");
        assert_eq!((only_v6.only_v6, connected.only_v6), (Some(true), None));
    }

    #[test]
    fn a_dump_that_could_not_begin_is_refused_with_its_reason() {
        assert_eq!(read(NO_SCTP), Ok(vec![Reply::Refused(2)]));
    }

    #[test]
    fn replies_to_other_requests_are_skipped() {
        assert_eq!(replies(&bytes(CONNECTED), Protocol::Udp, 2), Ok(vec![]));
    }

    #[test]
    fn bytes_that_end_anywhere_are_neither_a_panic_nor_a_socket() {
        let whole = bytes(CONNECTED);
        for length in 1..whole.len() {
            let cut = whole.get(..length).expect("shorter");
            assert_eq!(replies(cut, Protocol::Udp, 1), Err(Malformed), "{length}");
        }
        // A length that leads nowhere must not be followed without end.
        for length in [0u32, 15, u32::MAX] {
            let mut lying = whole.clone();
            lying.splice(..4, length.to_ne_bytes());
            assert_eq!(
                replies(&lying, Protocol::Udp, 1),
                Err(Malformed),
                "{length}"
            );
        }
        // So must one of an attribute: here that of the first, which is then the last.
        let mut lying = bytes(ONLY_V6);
        lying.splice(88..90, [0, 0]);
        let found = replies(&lying, Protocol::Udp, 1).expect("the socket itself is whole");
        assert!(matches!(found.as_slice(), [Reply::Socket(socket)] if socket.only_v6.is_none()));
    }

    #[test]
    fn a_request_asks_for_every_state_of_one_protocol_and_family() {
        let expected = "480000001400010301000000000000000a110000ffffffff";
        let request = request(Protocol::Udp, AddressFamily::Ipv6, Filter::All, 1);
        assert_eq!(request.get(..24), Some(bytes(expected).as_slice()));
        assert_eq!(request.len(), 72);
    }

    #[test]
    fn a_look_up_of_udp_names_the_address_as_the_destination() {
        let address = Filter::ReachedAt("127.0.0.1:69".parse().expect("an address"));
        let of = |protocol, filter| {
            let request = request(protocol, AddressFamily::Ipv4, filter, 1);
            assert_eq!(request.len(), 72);
            request
        };
        let udp = of(Protocol::Udp, address);
        let tcp = of(Protocol::Tcp, address);
        assert_eq!(udp.get(6..8), Some(bytes("0100").as_slice()));
        assert_eq!(udp.get(24..28), Some(bytes("00000045").as_slice()));
        assert_eq!(udp.get(44..48), Some(bytes("7f000001").as_slice()));
        assert_eq!(tcp.get(20..28), Some(bytes("0004000000450000").as_slice()));
        assert_eq!(tcp.get(28..32), Some(bytes("7f000001").as_slice()));
        let dump = of(Protocol::Udp, Filter::Port(69));
        assert_eq!(dump.get(24..28), Some(bytes("00450000").as_slice()));
    }
}
