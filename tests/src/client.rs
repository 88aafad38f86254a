//! A client that is a mere socket: it says what it is told to, however wrong.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::host;
use crate::netns::Netns;
use crate::packet::Packet;

/// Long enough for an answer on a busy machine; what a server repeats comes within it too.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket that speaks TFTP, packet by packet.
#[derive(Debug)]
pub struct Client {
    socket: UdpSocket,
    /// Where requests go.
    server: SocketAddr,
    /// Where the last answer came from; what is no request goes there.
    transfer: SocketAddr,
}

impl Client {
    /// A client in a namespace, on an address and port of its own (port 0: of the kernel's choice).
    ///
    /// # Panics
    /// When it cannot be bound there.
    #[track_caller]
    pub fn new(namespace: &Netns, from: SocketAddr, server: SocketAddr) -> Self {
        let socket = namespace.enter(|| host::udp_socket_at(from));
        let client = Self {
            socket,
            server,
            transfer: server,
        };
        client.patient(PATIENCE);
        client
    }

    /// Changes how long [`receive`](Self::receive) waits.
    ///
    /// # Panics
    /// When it is no time at all.
    #[track_caller]
    pub fn patient(&self, limit: Duration) {
        self.socket
            .set_read_timeout(Some(limit))
            .expect("the time is not zero");
    }

    /// The socket itself.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Where the last answer came from.
    pub fn transfer(&self) -> SocketAddr {
        self.transfer
    }

    /// Sends a packet, written as in a script: a request to the server's port, anything else to where
    /// the last answer came from.
    ///
    /// # Panics
    /// When the text is no packet, or it cannot leave.
    #[track_caller]
    pub fn send(&self, text: &str) {
        let packet = Packet::from_text(text).unwrap_or_else(|error| panic!("{error}"));
        let request = matches!(packet, Packet::Request { .. });
        let to = if request { self.server } else { self.transfer };
        self.send_bytes(&packet.to_bytes(), to);
    }

    /// Sends any bytes anywhere.
    ///
    /// # Panics
    /// When they cannot leave.
    #[track_caller]
    pub fn send_bytes(&self, bytes: &[u8], to: SocketAddr) {
        // What is reported here is the answer to an earlier datagram; then it is sent again.
        let sent = self.socket.send_to(bytes, to);
        let sent = sent.or_else(|_| self.socket.send_to(bytes, to));
        sent.unwrap_or_else(|error| panic!("cannot send to {to}: {error}"));
    }

    /// The next datagram, or `None` when none comes in time.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 1 << 16];
        let (length, from) = self.socket.recv_from(&mut buffer).ok()?;
        self.transfer = from;
        buffer.truncate(length);
        Some(buffer)
    }

    /// The next packet as a script shows it, `silence` when none comes in time.
    pub fn hear(&mut self) -> String {
        self.receive().map_or_else(
            || "silence".to_owned(),
            |bytes| {
                Packet::from_bytes(&bytes, bytes.len())
                    .map_or_else(|| format!("{bytes:?}"), |packet| packet.to_string())
            },
        )
    }

    /// Sends a packet and returns the next one that comes.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn ask(&mut self, text: &str) -> String {
        self.send(text);
        self.hear()
    }

    /// Sends a packet and returns the next one that comes; as often as the server repeats what it said
    /// before, the packet is sent again, for one of them was lost.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn insist(&mut self, text: &str, before: &str) -> String {
        loop {
            let heard = self.ask(text);
            if heard != before {
                return heard;
            }
        }
    }

    /// The payload of the block with this number on the wire. One that the server repeats, for this
    /// client was slow to acknowledge it, is passed over.
    ///
    /// # Panics
    /// When something else comes than DATA, or nothing.
    #[track_caller]
    pub fn block(&mut self, number: u16) -> Vec<u8> {
        loop {
            let (found, payload) = self.data(number);
            if found == number {
                return payload;
            }
        }
    }

    /// Reads a file as RFC 1350 has it, in blocks of 512 bytes.
    ///
    /// # Panics
    /// When anything but its blocks comes.
    #[track_caller]
    pub fn fetch(&mut self, name: &str) -> Vec<u8> {
        self.send(&format!("RRQ \"{name}\" octet"));
        self.rest(1)
    }

    /// Reads the blocks from this one on, of 512 bytes each.
    ///
    /// # Panics
    /// When anything but blocks comes.
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

    /// The number and the payload of the DATA that comes next.
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
