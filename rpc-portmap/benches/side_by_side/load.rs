//! The load: look-ups, registrations and lists.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark uses sockets directly"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use eport_core::bind::{self, UdpOptions};
use rpc_portmap::rpc::{Call, Credential, Procedure, Reply, Version, put_record};
use rpc_portmap::rpcbind::{Mapping, Name, PROGRAM, Rpcb, v2, v3, v4};
use rpc_portmap::xdr;

use crate::server::now;

/// Calls by datagram in flight.
const WINDOW: u32 = 32;
/// The first program that is registered, in the range left to the site.
const FIRST: u32 = 0x2100_0000;
/// Sockets whose ports are registered, so that no registration is one of a service that is gone.
const SOCKETS: u32 = 10;

/// A look-up by datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lookup {
    /// Version 2.
    Getport,
    /// Version 4.
    Getaddr,
}

impl Lookup {
    fn call(self, xid: u32, program: u32) -> Vec<u8> {
        let (version, procedure, args) = match self {
            Self::Getport => {
                let mapping = Mapping {
                    program: program.into(),
                    version: 1.into(),
                    protocol: 17,
                    port: 0,
                };
                (v2::VERSION, v2::GETPORT, xdr::to_bytes(&mapping))
            }
            Self::Getaddr => {
                let request = Rpcb {
                    program: program.into(),
                    version: 1.into(),
                    netid: Name::truncated("udp"),
                    ..Rpcb::default()
                };
                (v4::VERSION, v4::GETADDR, xdr::to_bytes(&request))
            }
        };
        call(xid, version, procedure, &args)
    }
}

/// Programs that are registered for as long as the server runs.
pub(crate) struct Registrations {
    sockets: Vec<UdpSocket>,
    count: u32,
}

impl Registrations {
    pub(crate) fn new() -> Self {
        let socket = |_| {
            let any = "127.0.0.1:0".parse().expect("an address");
            bind::udp(any, &UdpOptions::default()).expect("loopback")
        };
        Self {
            sockets: (0..SOCKETS).map(socket).collect(),
            count: 0,
        }
    }

    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// Registers more programs, one after the other; the seconds that took.
    pub(crate) fn extend_to(&mut self, count: u32) -> f64 {
        let mut stream = UnixStream::connect("/run/rpcbind.sock").expect("it listens");
        let begun = now();
        for (index, socket) in (self.count..count).zip(self.sockets.iter().cycle()) {
            let port = socket.local_addr().expect("bound").port();
            let request = Rpcb {
                program: (FIRST + index).into(),
                version: 1.into(),
                netid: Name::truncated("udp"),
                address: Name::truncated(&format!("127.0.0.1.{}.{}", port >> 8, port & 0xff)),
                owner: Name::truncated("0"),
            };
            let args = xdr::to_bytes(&request);
            let results = exchange(&mut stream, &call(index, v3::VERSION, v3::SET, &args));
            assert_eq!(
                results,
                [0, 0, 0, 1],
                "program {} is accepted",
                FIRST + index
            );
        }
        self.count = count;
        begun.elapsed().as_secs_f64()
    }
}

/// Looks programs up, one after the other and all again, until so many calls are answered.
pub(crate) fn by_datagram(server: SocketAddr, lookup: Lookup, programs: u32, calls: u32) {
    let any = "127.0.0.1:0".parse().expect("an address");
    let socket = bind::udp(any, &UdpOptions::default().blocking(true)).expect("loopback");
    socket.connect(server).expect("loopback");
    let patience = Some(Duration::from_secs(5));
    socket.set_read_timeout(patience).expect("an option");
    // Not in the order in which they were registered, which a list would like.
    let step = if programs > 7919 { 7919 } else { 3 };
    let send = |xid: u32| {
        let program = FIRST + xid.wrapping_mul(step) % programs;
        let message = lookup.call(xid, program);
        socket.send(&message).expect("sent");
    };
    (0..WINDOW).for_each(send);
    let mut buffer = [0; 512];
    for xid in WINDOW..calls + WINDOW {
        let length = socket.recv(&mut buffer).expect("an answer");
        let reply = Reply::decode(buffer.get(..length).unwrap_or_default()).expect("a reply");
        let results = reply.outcome.expect("an address");
        assert!(results.len() > 4 || results != [0; 4], "nothing is found");
        if xid < calls {
            send(xid);
        } else if xid == calls + WINDOW - 1 {
            break;
        }
    }
}

/// The milliseconds in which the whole list comes: the best of several times, because a process
/// that receives 500 KiB is often put off by others.
pub(crate) fn dump(server: SocketAddr, entries: u32) -> f64 {
    let mut stream = TcpStream::connect(server).expect("it listens");
    let times = (0..20).map(|xid| {
        let begun = now();
        let results = exchange(&mut stream, &call(xid, v4::VERSION, v4::DUMP, &[]));
        let taken = begun.elapsed().as_secs_f64() * 1e3;
        assert!(results.len() > 40 * entries as usize, "{}", results.len());
        taken
    });
    times.fold(f64::INFINITY, f64::min)
}

fn call(xid: u32, version: Version, procedure: Procedure, args: &[u8]) -> Vec<u8> {
    let call = Call {
        xid,
        program: PROGRAM,
        version,
        procedure,
        credential: Credential::None,
        args,
    };
    let mut bytes = Vec::new();
    call.encode(&mut bytes);
    bytes
}

/// Sends a call over a stream and reads its reply, of any number of fragments.
fn exchange(stream: &mut (impl Read + Write), call: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    put_record(&mut record, |out| out.extend_from_slice(call));
    stream.write_all(&record).expect("sent");
    let mut reply = Vec::new();
    loop {
        let mut header = [0; 4];
        stream.read_exact(&mut header).expect("an answer");
        let header = u32::from_be_bytes(header);
        let length = u64::from(header & 0x7fff_ffff);
        let taken = (&mut *stream).take(length).read_to_end(&mut reply);
        assert_eq!(taken.expect("an answer") as u64, length);
        if header >> 31 == 1 {
            break;
        }
    }
    let reply = Reply::decode(&reply).expect("a reply");
    reply.outcome.expect("a result").to_vec()
}
