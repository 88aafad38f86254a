//! Addresses in the form of their transport: `sockaddr` as Linux lays it out.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::libc;

use crate::rpcbind::v3::Netbuf;
use crate::rpcbind::{Netid, UniversalAddress};
use crate::xdr::Opaque;

/// Returns the `sockaddr` of a universal address; empty if the text is not one.
pub(super) fn from_text(text: &str) -> Netbuf {
    let parsed = UniversalAddress::parse(Netid::Udp, text)
        .or_else(|_| UniversalAddress::parse(Netid::Udp6, text));
    let Some(address) = parsed.ok().and_then(|address| address.socket_addr()) else {
        return Netbuf::default();
    };
    let mut bytes = Vec::new();
    match address {
        SocketAddr::V4(v4) => {
            bytes.extend(family(libc::AF_INET));
            bytes.extend(v4.port().to_be_bytes());
            bytes.extend(v4.ip().octets());
            bytes.extend([0; 8]);
        }
        SocketAddr::V6(v6) => {
            bytes.extend(family(libc::AF_INET6));
            bytes.extend(v6.port().to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(v6.ip().octets());
            bytes.extend([0; 4]);
        }
    }
    Netbuf {
        max_len: u32::try_from(bytes.len()).unwrap_or_default(),
        bytes: Opaque::new(bytes).unwrap_or_default(),
    }
}

/// Returns the universal address of a `sockaddr`; empty if the bytes are not one.
pub(super) fn to_text(netbuf: &Netbuf) -> String {
    address(&netbuf.bytes)
        .map(|address| UniversalAddress::from(address).to_string())
        .unwrap_or_default()
}

fn address(bytes: &[u8]) -> Option<SocketAddr> {
    let (kind, rest) = bytes.split_first_chunk()?;
    let (port, rest) = rest.split_first_chunk()?;
    let port = u16::from_be_bytes(*port);
    if *kind == family(libc::AF_INET) {
        let octets: &[u8; 4] = rest.first_chunk()?;
        Some((Ipv4Addr::from(*octets), port).into())
    } else if *kind == family(libc::AF_INET6) {
        let octets: &[u8; 16] = rest.get(4..)?.first_chunk()?;
        Some((Ipv6Addr::from(*octets), port).into())
    } else {
        None
    }
}

fn family(number: i32) -> [u8; 2] {
    u16::try_from(number).unwrap_or_default().to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_convert_both_ways_and_malformed_ones_are_empty() {
        for (text, length) in [("192.0.2.1.8.1", 16), ("2001:db8::1.8.1", 28)] {
            let netbuf = from_text(text);
            assert_eq!(
                (netbuf.bytes.len(), netbuf.max_len),
                (length, u32::try_from(length).expect("small"))
            );
            assert_eq!(to_text(&netbuf), text);
        }
        assert_eq!(from_text("malformed"), Netbuf::default());
        assert_eq!(to_text(&Netbuf::default()), "");
        let short = Netbuf {
            max_len: 5,
            bytes: Opaque::new(vec![2, 0, 8, 1, 127]).expect("short"),
        };
        assert_eq!(to_text(&short), "");
    }
}
