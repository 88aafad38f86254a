//! The kernel's socket tables as text, for a recorded machine.
//!
//! On a live machine `sock_diag` is used, which takes a hundredth of the time.

use std::net::{IpAddr, SocketAddr};

use super::LineError;
use super::files::AtLine;
use super::socket::{BoundSocket, SocketState};
use crate::address::{AddressFamily, Protocol};

/// Reads `/proc/net/{udp,udp6,tcp,tcp6}` as a little-endian machine writes it. Sockets without a
/// port are skipped.
pub(super) fn sockets(
    text: &str,
    protocol: Protocol,
    family: AddressFamily,
) -> Result<Vec<BoundSocket>, AtLine> {
    let lines = text.lines().enumerate().skip(1);
    let parsed = lines.map(|(index, line)| {
        entry(line, protocol, family).ok_or((index + 1, LineError::NotASocket))
    });
    let bound = parsed.filter(|entry| !matches!(entry, Ok(socket) if socket.port() == 0));
    bound.collect()
}

/// `sl: local peer state queues timer retransmits uid timeout inode …`.
fn entry(line: &str, protocol: Protocol, family: AddressFamily) -> Option<BoundSocket> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = address(fields.next()?, family)?;
    let peer = address(fields.next()?, family)?;
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(BoundSocket {
        protocol,
        family,
        local,
        only_v6: None,
        interface: 0,
        peer: (peer.port() != 0).then_some(peer),
        state: SocketState::numbered(state),
        uid,
        inode,
    })
}

/// `0100007F:0045`, or with four such words for IPv6: each word as the machine's memory has it.
fn address(text: &str, family: AddressFamily) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let ip = match family {
        AddressFamily::Ipv4 => IpAddr::from(word(words)?),
        AddressFamily::Ipv6 => {
            let mut bytes = [0; 16];
            for (index, word_bytes) in bytes.chunks_exact_mut(4).enumerate() {
                word_bytes.copy_from_slice(&word(words.get(index * 8..index * 8 + 8)?)?);
            }
            IpAddr::from(bytes)
        }
    };
    Some(SocketAddr::new(ip, port))
}

fn word(text: &str) -> Option<[u8; 4]> {
    u32::from_str_radix(text, 16).ok().map(u32::to_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n";

    #[test]
    fn an_entry_names_both_ends_the_user_and_the_inode() {
        let text = format!(
            "{HEADER} 2148: 0100007F:0045 00000000:0000 07 00000000:00000000 00:00000000 00000000   106        0 1417 2 0 0\n \
             2150: 0100007F:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000   0        0 1420 2 0 0\n"
        );
        let found = sockets(&text, Protocol::Udp, AddressFamily::Ipv4).expect("sockets");
        let [tftp, _] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(tftp.to_string(), "udp 127.0.0.1:69 unconnected");
        assert_eq!((tftp.uid, tftp.inode), (106, 1417));
    }

    #[test]
    fn ipv6_words_are_turned_one_by_one() {
        let text = format!(
            "{HEADER} 0: B80D0120000000000000000001000000:006F B80D0120000000000000000002000000:0401 01 0:0 0:0 0 0 0 7 1 0\n"
        );
        let found = sockets(&text, Protocol::Tcp, AddressFamily::Ipv6).expect("sockets");
        assert_eq!(
            found.first().map(ToString::to_string).as_deref(),
            Some("tcp [2001:db8::1]:111 connected to [2001:db8::2]:1025")
        );
    }

    #[test]
    fn a_line_that_is_no_entry_is_named() {
        for line in [
            "0:",
            "0: 0100007F 00000000:0000 07",
            "0: zz:0045 0:0 07 0 0 0 0 0 0",
        ] {
            let text = format!("{HEADER}{line}\n");
            let error = sockets(&text, Protocol::Udp, AddressFamily::Ipv4).expect_err(line);
            assert_eq!(error, (2, LineError::NotASocket));
        }
    }
}
