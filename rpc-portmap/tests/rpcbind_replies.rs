//! The portmapper replies byte for byte as rpcbind does, where rpcbind follows the RFCs.

#![expect(clippy::disallowed_methods, reason = "tests use sockets directly")]

use std::net::SocketAddr;
use std::time::Duration;

use rpc_portmap::portmapper::Portmapper;
use rpc_portmap::rpc::{RecordLimits, RecordReader, put_record};
use rpc_portmap::rpcbind::{Netid, UniversalAddress};
use rpc_portmap::transport::Listeners;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, UnixStream};

const RECORDED: &str = include_str!("../../fixtures/rpc/rpcbind-1.2.6.txt");

#[tokio::test]
async fn every_recorded_call_gets_the_recorded_reply() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: the recording was made by root, who shows as the owner");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("sock").display().to_string();
    let mut listeners = Listeners::new();
    let loopback = "127.0.0.1:0".parse().expect("an address");
    listeners.bind_ip(loopback).expect("free");
    listeners.bind_unix(&socket).expect("free");
    let [tcp, udp] = [0, 1].map(|index| listeners.addresses()[index].1.socket_addr());
    let portmapper = Portmapper::builder().at_addresses(&as_rpcbind()).build();
    let server = portmapper.expect("no file").server();
    tokio::spawn(server.serve(listeners, std::future::pending()));
    let mut wires = Wires::connect(udp.expect("bound"), tcp.expect("bound"), &socket).await;

    let exchanges = exchanges();
    assert!(exchanges.len() > 50);
    for Exchange {
        title,
        transport,
        call,
        reply,
    } in exchanges
    {
        let answer = wires.exchange(transport, &call).await;
        assert_eq!(to_hex(&answer), to_hex(&reply), "{title} ({transport})");
    }
}

/// Returns the addresses that rpcbind registers for itself.
fn as_rpcbind() -> Vec<(Netid, UniversalAddress)> {
    let addresses = [
        (Netid::Tcp6, "::.0.111"),
        (Netid::Udp6, "::.0.111"),
        (Netid::Tcp, "0.0.0.0.0.111"),
        (Netid::Udp, "0.0.0.0.0.111"),
        (Netid::Local, "/run/rpcbind.sock"),
    ];
    let parse = |(netid, text)| (netid, UniversalAddress::parse(netid, text).expect(text));
    addresses.map(parse).to_vec()
}

struct Exchange {
    title: &'static str,
    transport: &'static str,
    call: Vec<u8>,
    reply: Vec<u8>,
}

fn exchanges() -> Vec<Exchange> {
    let blocks = RECORDED.split("\n\n").skip(1);
    blocks
        .map(|block| {
            let mut lines = block.trim().lines();
            let title = lines.next().expect("a title").trim_start_matches("# ");
            let call = lines.next().expect("a call");
            let (transport, call) = call.split_once(" > ").expect("a call");
            let (_, reply) = lines
                .next()
                .and_then(|line| line.split_once(" < "))
                .expect("a reply");
            Exchange {
                title,
                transport,
                call: from_hex(call),
                reply: from_hex(reply),
            }
        })
        .collect()
}

struct Wires {
    udp: UdpSocket,
    tcp: TcpStream,
    unix: UnixStream,
}

impl Wires {
    async fn connect(udp: SocketAddr, tcp: SocketAddr, unix: &str) -> Self {
        let any = "127.0.0.1:0".parse().expect("an address");
        let options = eport_core::bind::UdpOptions::default();
        let socket = eport_core::bind::udp(any, &options).expect("free");
        let socket = UdpSocket::from_std(socket).expect("a socket");
        socket.connect(udp).await.expect("loopback");
        Self {
            udp: socket,
            tcp: TcpStream::connect(tcp).await.expect("it listens"),
            unix: UnixStream::connect(unix).await.expect("it listens"),
        }
    }

    async fn exchange(&mut self, transport: &str, call: &[u8]) -> Vec<u8> {
        let exchange = async {
            match transport {
                "udp" => {
                    self.udp.send(call).await.expect("sent");
                    let mut reply = vec![0; 65_536];
                    let length = self.udp.recv(&mut reply).await.expect("a reply");
                    reply.truncate(length);
                    reply
                }
                "tcp" => over(&mut self.tcp, call).await,
                "unix" => over(&mut self.unix, call).await,
                other => panic!("no transport {other}"),
            }
        };
        let within = Duration::from_secs(10);
        tokio::time::timeout(within, exchange)
            .await
            .expect("a reply in time")
    }
}

async fn over(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), call: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    put_record(&mut record, |out| out.extend_from_slice(call));
    stream.write_all(&record).await.expect("sent");
    let mut reader = RecordReader::new(RecordLimits::default());
    let mut buffer = vec![0; 65_536];
    loop {
        let length = stream.read(&mut buffer).await.expect("open");
        assert!(length > 0, "closed instead of answered");
        if let Some(reply) = reader
            .read(&mut buffer.split_at(length).0)
            .expect("a record")
        {
            return reply;
        }
    }
}

fn from_hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2));
    let byte = |index| u8::from_str_radix(&digits[index..index + 2], 16).expect("digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("a nibble");
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
