//! Calls and replies as bytes, on every transport of the portmapper.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tests::host;

use crate::machine::{Machine, PATIENCE};

/// The port of the portmapper.
pub(crate) const PORT: u16 = 111;

/// The transport of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Transport {
    Udp,
    Udp6,
    Tcp,
    Tcp6,
    Unix,
    Abstract,
}

impl Transport {
    pub(crate) const ALL: [Self; 6] = [
        Self::Udp,
        Self::Udp6,
        Self::Tcp,
        Self::Tcp6,
        Self::Unix,
        Self::Abstract,
    ];

    /// The name of the transport in fixtures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Udp6 => "udp6",
            Self::Tcp => "tcp",
            Self::Tcp6 => "tcp6",
            Self::Unix => "unix",
            Self::Abstract => "abstract",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A connection to the portmapper.
#[derive(Debug)]
pub(crate) enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Machine {
    /// Connects to the portmapper of this machine, over the loopback interface or its unix sockets.
    #[track_caller]
    pub(crate) fn wire(&self, transport: Transport) -> Wire {
        let (v4, v6) = (
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        );
        let wire = self.network.enter(|| match transport {
            Transport::Udp => udp(v4),
            Transport::Udp6 => udp(v6),
            Transport::Tcp => TcpStream::connect((v4, PORT)).map(Wire::Tcp),
            Transport::Tcp6 => TcpStream::connect((v6, PORT)).map(Wire::Tcp),
            Transport::Unix => UnixStream::connect(self.run("rpcbind.sock")).map(Wire::Unix),
            Transport::Abstract => {
                let name = std::os::unix::net::SocketAddr::from_abstract_name("/run/rpcbind.sock");
                UnixStream::connect_addr(&name?).map(Wire::Unix)
            }
        });
        let wire = wire.unwrap_or_else(|error| panic!("cannot connect by {transport}: {error}"));
        wire.set_limit(PATIENCE);
        wire
    }
}

fn udp(server: IpAddr) -> io::Result<Wire> {
    let socket = host::udp_socket(server);
    socket.connect(SocketAddr::new(server, PORT))?;
    Ok(Wire::Udp(socket))
}

impl Wire {
    /// Sets the limit for replies.
    pub(crate) fn set_limit(&self, limit: Duration) {
        let set = match self {
            Self::Udp(socket) => socket.set_read_timeout(Some(limit)),
            Self::Tcp(stream) => stream.set_read_timeout(Some(limit)),
            Self::Unix(stream) => stream.set_read_timeout(Some(limit)),
        };
        set.expect("a limit that is not zero");
    }

    /// Sends a message; on a stream, as a record of one fragment.
    pub(crate) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(message).map(drop),
            _ => self.send_raw(&record(message)),
        }
    }

    /// Sends bytes unchanged.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(bytes).map(drop),
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// Receives the next reply; returns `None` if the peer has closed the connection.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        let reply = match self {
            Self::Udp(socket) => {
                let mut reply = vec![0; 65_536];
                socket.recv(&mut reply).map(|length| {
                    reply.truncate(length);
                    reply
                })
            }
            Self::Tcp(stream) => read_record(stream),
            Self::Unix(stream) => read_record(stream),
        };
        match reply {
            Ok(reply) => Some(reply),
            Err(error) => match error.kind() {
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => None,
                _ => panic!("no reply: {error}"),
            },
        }
    }

    /// Sends a message and returns the reply to it.
    #[track_caller]
    pub(crate) fn ask(&mut self, message: &[u8]) -> Vec<u8> {
        self.send(message).expect("the portmapper listens");
        self.receive().expect("an open connection")
    }

    /// Sends a message and returns the reply to it, or `None` if only the next call is answered.
    #[track_caller]
    pub(crate) fn ask_optional(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        const NEXT: u32 = 0xfeed_beef;
        self.send(message).expect("the portmapper listens");
        // A version that does not exist, so that the next call is not counted.
        let reply = self.ask(&call(NEXT, 1, 0, &[]));
        if reply.starts_with(&NEXT.to_be_bytes()) {
            return None;
        }
        let next = self.receive().expect("an open connection");
        assert!(
            next.starts_with(&NEXT.to_be_bytes()),
            "two replies to one call"
        );
        Some(reply)
    }
}

fn read_record(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut record = Vec::new();
    loop {
        let mut header = [0; 4];
        stream.read_exact(&mut header)?;
        let header = u32::from_be_bytes(header);
        let length = usize::try_from(header & 0x7fff_ffff).expect("a number of 31 bits");
        let mut fragment = vec![0; length];
        stream.read_exact(&mut fragment)?;
        record.append(&mut fragment);
        if header & 0x8000_0000 != 0 {
            return Ok(record);
        }
    }
}

/// Encodes a message as a record of one fragment.
pub(crate) fn record(message: &[u8]) -> Vec<u8> {
    fragment(message, true)
}

/// Encodes a fragment of a record.
pub(crate) fn fragment(bytes: &[u8], last: bool) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("less than 4 GiB");
    let header = length | if last { 0x8000_0000 } else { 0 };
    [&header.to_be_bytes(), bytes].concat()
}

/// Encodes a call to the portmapper without credentials.
pub(crate) fn call(xid: u32, version: u32, procedure: u32, arguments: &[u8]) -> Vec<u8> {
    let header = numbers(&[xid, 0, 2, 100_000, version, procedure, 0, 0, 0, 0]);
    [&header, arguments].concat()
}

/// Encodes the arguments of versions 3 and 4.
pub(crate) fn rpcb(program: u32, version: u32, netid: &str, address: &str) -> Vec<u8> {
    let strings = [netid, address, "0"].map(|text| string(text.as_bytes()));
    [&numbers(&[program, version]), &strings.concat()[..]].concat()
}

/// Encodes bytes with their length, padded with zeros to a multiple of 4.
pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("less than 4 GiB");
    let mut out = [&length.to_be_bytes(), bytes].concat();
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// Encodes numbers of 32 bits.
pub(crate) fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect()
}
