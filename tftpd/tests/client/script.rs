//! A TFTP server scripted by a test, packet by packet.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    thread::{self, JoinHandle},
    time::Duration,
};

use eport_core::bind::{self, UdpOptions};
use tftpd::proto::{Ack, Data, Error, ErrorCode, Packet};

/// The longest wait for an expected packet.
const SOON: Duration = Duration::from_secs(10);

/// Plays `script` on a thread of its own and answers with the address to ask. What the script
/// returns is kept until [`Playing::end`]: a port that is to stay open and silent.
pub(crate) fn play<T: Send + 'static>(
    script: impl FnOnce(Port) -> T + Send + 'static,
) -> (SocketAddr, Playing<T>) {
    let port = Port::new("127.0.0.1:0");
    let address = port.address();
    (address, Playing(thread::spawn(move || script(port))))
}

/// A script that is being played.
#[must_use = "a script that failed says so in `end`"]
pub(crate) struct Playing<T>(JoinHandle<T>);

impl<T> Playing<T> {
    /// Waits until the script has come to its end, which it must.
    pub(crate) fn end(self) {
        if let Err(panic) = self.0.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// A port of the server.
pub(crate) struct Port {
    socket: UdpSocket,
    peer: Option<SocketAddr>,
}

impl Port {
    pub(crate) fn new(address: &str) -> Self {
        let options = UdpOptions::default().blocking(true);
        let socket = bind::udp(address.parse().expect("an address"), &options).expect("bound");
        socket.set_read_timeout(Some(SOON)).expect("set");
        Self { socket, peer: None }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    /// Waits for a request; its bytes. What is sent from now on goes to who asked.
    #[track_caller]
    pub(crate) fn request(&mut self) -> Vec<u8> {
        let (request, from) = self.receive().expect("a request comes");
        self.peer = Some(from);
        request
    }

    /// A port of the same host that talks to the same client: that of the transfer.
    pub(crate) fn transfer(&self) -> Self {
        self.beside("127.0.0.1:0")
    }

    /// A port at `address` that talks to the same client.
    pub(crate) fn beside(&self, address: &str) -> Self {
        Self {
            peer: self.peer,
            ..Self::new(address)
        }
    }

    /// Waits for a request and answers from a port of its own.
    #[track_caller]
    pub(crate) fn accept(mut self) -> Self {
        self.request();
        self.transfer()
    }

    pub(crate) fn send(&self, packet: &[u8]) {
        let peer = self.peer.expect("it knows its client");
        self.socket.send_to(packet, peer).expect("sent");
    }

    /// Waits for the next packet of the client, which must be this.
    #[track_caller]
    pub(crate) fn expect(&self, packet: &[u8]) {
        let (got, from) = self.receive().expect("a packet comes");
        assert_eq!(shown(&got), shown(packet));
        assert_eq!(Some(from), self.peer, "from the port that asked");
    }

    /// Receives the next datagram; `None` if none arrives within `time`.
    pub(crate) fn within(&self, time: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(time)).expect("set");
        let got = self.receive().ok();
        self.socket.set_read_timeout(Some(SOON)).expect("set");
        got.map(|(packet, _)| packet)
    }

    fn receive(&self) -> io::Result<(Vec<u8>, SocketAddr)> {
        let mut buffer = vec![0; 65_536];
        let (length, from) = self.socket.recv_from(&mut buffer)?;
        buffer.truncate(length);
        Ok((buffer, from))
    }
}

pub(crate) fn data(block: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    Data { block, payload }.encode(&mut packet);
    packet
}

pub(crate) fn ack(block: u16) -> Vec<u8> {
    let mut packet = Vec::new();
    Ack { block }.encode(&mut packet);
    packet
}

pub(crate) fn error(code: ErrorCode) -> Vec<u8> {
    let mut packet = Vec::new();
    Error::new(code).encode(&mut packet);
    packet
}

/// An OACK as it is written in a trace: `blksize=512 tsize=9`.
pub(crate) fn oack(options: &str) -> Vec<u8> {
    let mut packet = vec![0, 6];
    packet.extend(wire(options));
    packet
}

/// A read request with these options.
pub(crate) fn rrq(name: &str, options: &str) -> Vec<u8> {
    request(1, name, options)
}

/// A write request with these options.
pub(crate) fn wrq(name: &str, options: &str) -> Vec<u8> {
    request(2, name, options)
}

fn request(opcode: u8, name: &str, options: &str) -> Vec<u8> {
    let mut packet = vec![0, opcode];
    packet.extend(format!("{name}\0octet\0").bytes());
    packet.extend(wire(options));
    packet
}

fn wire(options: &str) -> Vec<u8> {
    let pairs = options.split_whitespace();
    pairs
        .flat_map(|pair| format!("{}\0", pair.replace('=', "\0")).into_bytes())
        .collect()
}

/// Bytes in which each position is recognisable.
pub(crate) fn content(size: usize) -> Vec<u8> {
    (0_u64..)
        .flat_map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .take(size)
        .collect()
}

/// A packet as a test shows it: what it is, and its payload cut short.
fn shown(packet: &[u8]) -> String {
    match Packet::decode(packet) {
        Ok(Packet::Data(data)) => format!(
            "DATA {} with {} bytes: {}",
            data.block,
            data.payload.len(),
            data.payload.escape_ascii()
        ),
        Ok(other) => format!("{other:?}"),
        Err(error) => format!("{error}: {packet:?}"),
    }
}
