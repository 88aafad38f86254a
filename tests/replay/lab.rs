//! A server on the loopback interface of a namespace, and clients that are plain sockets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tempfile::TempDir;
use tests::exchange::{Exchange, Side};
use tests::netns::Netns;
use tests::packet::Packet;
use tests::program::{Program, Task};
use tests::server::Server;
use tests::{host, peers};

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 69);

/// The limit for an answer, shorter than the first retransmission timeout.
const PATIENCE: Duration = Duration::from_millis(900);

#[track_caller]
pub(crate) fn available() -> bool {
    let server = Program::under_test().peer();
    let programs: Vec<_> = ["ip"].into_iter().chain(server).collect();
    peers::available(&programs)
}

/// A running server. The fields are dropped in their order.
pub(crate) struct Lab {
    pub(crate) server: Server,
    namespace: Netns,
    folder: TempDir,
}

impl Lab {
    #[track_caller]
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("the system has a folder for temporary files");
        let namespace = Netns::new();
        let task = Task::reading(folder.path(), &(61_000..=61_999));
        let server = Server::start(Program::under_test(), &namespace, &task);
        Self {
            server,
            namespace,
            folder,
        }
    }

    /// Puts a file of zeros into the server's folder.
    #[track_caller]
    pub(crate) fn serve(&self, name: &str, size: u64) {
        let path = self.folder.path().join(name.trim_start_matches('/'));
        host::write_zeros(&path, size);
    }

    /// Opens a client with a port of its own.
    pub(crate) fn client(&self) -> Client {
        let socket = self
            .namespace
            .enter(|| host::udp_socket(Ipv4Addr::LOCALHOST.into()));
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("the time is not zero");
        Client {
            socket,
            server: SERVER,
        }
    }

    /// Sends the packets of the client, and expects those of the server: the same blocks, the same options
    /// in any order, the same error codes.
    #[track_caller]
    pub(crate) fn replay(&self, exchange: &Exchange, script: &str) {
        self.prepare(exchange);
        let mut client = self.client();
        for (from, packet) in exchange.packets() {
            match from {
                Side::Client => client.send(packet),
                Side::Server => {
                    let answer = client.receive();
                    assert_eq!(
                        answer.as_ref().map(comparable),
                        Some(comparable(packet)),
                        "{script}\n{}",
                        self.server.output()
                    );
                }
            }
        }
    }

    /// Writes the requested file, unless the recorded server refused it. Its size is the recorded `tsize`,
    /// or the sum of its blocks.
    fn prepare(&self, exchange: &Exchange) {
        let Some((_, Packet::Request { name, .. })) = exchange.packets().next() else {
            return;
        };
        let mut blocks = 0;
        let mut tsize = None;
        for (_, packet) in exchange.packets() {
            match packet {
                Packet::Data { length, .. } => blocks += *length as u64,
                Packet::Oack(options) => {
                    let option = options.iter().find(|(name, _)| name == "tsize");
                    tsize = option.and_then(|(_, size)| size.parse().ok());
                }
                Packet::Error { code: 1, .. } => return,
                _ => {}
            }
        }
        self.serve(name, tsize.unwrap_or(blocks));
    }
}

/// A socket that sends and receives TFTP packets.
pub(crate) struct Client {
    socket: UdpSocket,
    server: SocketAddr,
}

impl Client {
    pub(crate) fn send_request(&self, bytes: &[u8]) {
        self.socket
            .send_to(bytes, SERVER)
            .expect("the loopback interface accepts it");
    }

    /// Sends a request to port 69, any other packet to the source of the last answer.
    pub(crate) fn send(&self, packet: &Packet) {
        let to = if matches!(packet, Packet::Request { .. }) {
            SERVER
        } else {
            self.server
        };
        self.socket
            .send_to(&packet.to_bytes(), to)
            .expect("the loopback interface accepts it");
    }

    /// Receives the next packet; `None` after the limit.
    pub(crate) fn receive(&mut self) -> Option<Packet> {
        let mut buffer = vec![0; 1 << 16];
        let (length, from) = self.socket.recv_from(&mut buffer).ok()?;
        self.server = from;
        Packet::from_bytes(buffer.get(..length)?, length)
    }
}

/// Removes the parts that a server may choose: the order of options, the text of an error.
fn comparable(packet: &Packet) -> Packet {
    match packet.clone() {
        Packet::Oack(mut options) => {
            options.sort();
            Packet::Oack(options)
        }
        Packet::Error { code, .. } => Packet::Error {
            code,
            message: String::new(),
        },
        other => other,
    }
}
