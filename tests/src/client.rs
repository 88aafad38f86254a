//! A client without a protocol of its own: it sends the packets of the test, valid or not.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::host;
use crate::netns::Netns;
use crate::packet::Packet;

/// Limit for one answer. A server retransmits within 1 s, thus 10 s cover retransmissions and a busy
/// machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// A UDP socket that sends and receives single TFTP packets.
#[derive(Debug)]
pub struct Client {
    socket: UdpSocket,
    /// Destination of requests.
    server: SocketAddr,
    /// Source of the last answer, and destination of every packet that is no request.
    transfer: SocketAddr,
}

impl Client {
    /// Binds a client in a namespace, to this address and port (port 0: the kernel chooses).
    ///
    /// # Panics
    /// If the address cannot be bound.
    #[track_caller]
    pub fn new(namespace: &Netns, from: SocketAddr, server: SocketAddr) -> Self {
        let socket = namespace.enter(|| host::udp_socket_at(from));
        let client = Self {
            socket,
            server,
            transfer: server,
        };
        client.set_timeout(PATIENCE);
        client
    }

    /// Sets the limit of [`receive`](Self::receive).
    ///
    /// # Panics
    /// If the limit is zero.
    #[track_caller]
    pub fn set_timeout(&self, limit: Duration) {
        self.socket
            .set_read_timeout(Some(limit))
            .expect("the time is not zero");
    }

    /// Returns the socket.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Returns the source of the last answer.
    pub fn transfer(&self) -> SocketAddr {
        self.transfer
    }

    /// Sends a packet in the text form of exchange scripts: a request to the server's port, any other
    /// packet to the source of the last answer.
    ///
    /// # Panics
    /// If the text is no packet, or cannot be sent.
    #[track_caller]
    pub fn send(&self, text: &str) {
        let packet = Packet::from_text(text).unwrap_or_else(|error| panic!("{error}"));
        let request = matches!(packet, Packet::Request { .. });
        let to = if request { self.server } else { self.transfer };
        self.send_bytes(&packet.to_bytes(), to);
    }

    /// Sends bytes to an address.
    ///
    /// # Panics
    /// If they cannot be sent.
    #[track_caller]
    pub fn send_bytes(&self, bytes: &[u8], to: SocketAddr) {
        // An ICMP error of an earlier datagram is reported here once; the second call sends.
        let sent = self.socket.send_to(bytes, to);
        let sent = sent.or_else(|_| self.socket.send_to(bytes, to));
        sent.unwrap_or_else(|error| panic!("cannot send to {to}: {error}"));
    }

    /// Returns the next datagram, or `None` after the limit.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 1 << 16];
        let (length, from) = self.socket.recv_from(&mut buffer).ok()?;
        self.transfer = from;
        buffer.truncate(length);
        Some(buffer)
    }

    /// Returns the next packet in the text form of exchange scripts, or `silence` after the limit.
    pub fn receive_text(&mut self) -> String {
        self.receive().map_or_else(
            || "silence".to_owned(),
            |bytes| {
                Packet::from_bytes(&bytes, bytes.len())
                    .map_or_else(|| format!("{bytes:?}"), |packet| packet.to_string())
            },
        )
    }

    /// Sends a packet and returns the next one that is received.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn ask(&mut self, text: &str) -> String {
        self.send(text);
        self.receive_text()
    }

    /// Sends a packet and returns the first answer that differs from `before`. An answer equal to
    /// `before` is a retransmission of the server, after a loss; the packet is then sent again.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn ask_until_changed(&mut self, text: &str, before: &str) -> String {
        loop {
            let answer = self.ask(text);
            if answer != before {
                return answer;
            }
        }
    }

    /// Returns the payload of the block with this number on the wire. Retransmissions of earlier blocks
    /// are skipped.
    ///
    /// # Panics
    /// If a packet other than DATA is received, or none.
    #[track_caller]
    pub fn block(&mut self, number: u16) -> Vec<u8> {
        loop {
            let (found, payload) = self.data(number);
            if found == number {
                return payload;
            }
        }
    }

    /// Reads a file without options (RFC 1350), in blocks of 512 bytes.
    ///
    /// # Panics
    /// If a packet other than DATA is received, or none.
    #[track_caller]
    pub fn fetch(&mut self, name: &str) -> Vec<u8> {
        self.send(&format!("RRQ \"{name}\" octet"));
        self.rest(1)
    }

    /// Acknowledges and returns the blocks from this one on, of 512 bytes each.
    ///
    /// # Panics
    /// If a packet other than DATA is received, or none.
    #[track_caller]
    pub fn rest(&mut self, first: u16) -> Vec<u8> {
        let mut rest = Vec::new();
        for block in first.. {
            let payload = loop {
                let (found, payload) = self.data(block);
                self.send(&format!("ACK {found}"));
                if found == block {
                    break payload;
                }
            };
            rest.extend(&payload);
            if payload.len() < 512 {
                break;
            }
        }
        rest
    }

    /// Returns number and payload of the next DATA packet.
    #[track_caller]
    fn data(&mut self, expected: u16) -> (u16, Vec<u8>) {
        let Some(bytes) = self.receive() else {
            panic!("no block {expected} came")
        };
        let data = bytes
            .strip_prefix(&[0, 3])
            .and_then(<[u8]>::split_first_chunk);
        let Some((number, payload)) = data else {
            panic!("instead of block {expected} came {bytes:?}")
        };
        (u16::from_be_bytes(*number), payload.to_vec())
    }
}
