//! The cost of a lease, compared with its system calls and with the kernel's own choice of port.
//!
//! `cargo bench -p eport-core` prints one table. Quote its ratios; absolute times are those of the
//! machine. The sockets are in a network namespace of their own, in which the kernel chooses from the
//! same ports as the allocator.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures time, compares with other ways to bind, and prints what it finds"
)]

mod measure;
mod namespace;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::time::Instant;

use chacha20::ChaCha8Rng;
use eport_core::pool::{Pool, PoolLease};
use eport_core::{
    Allocator, Lease, Plan, PortPolicy, PortRange, Protocol, Quarantine, Reserved, Sharing, Space,
    WhenFull, plan,
};
use measure::{Row, microseconds, nanoseconds, nanoseconds_of_two, table};
use rand_core::SeedableRng;
use socket2::SockRef;

/// Linux's flag for a call that does not block.
const MSG_DONTWAIT: i32 = 0x40;

const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Free ports of 16,384: none, half, 99 % and 99.9 % of them are in use.
const FREE: [u16; 4] = [16_384, 8192, 164, 16];

fn main() {
    // `cargo test --benches` runs this as a test, without measurements.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    namespace::enter(|sockets| {
        let columns = ["free", "50 %", "99 %", "99.9 %"];
        println!(
            "{}",
            table("without sockets, ns", &columns, &without_sockets())
        );
        let threads = ["one", "each of 2", "rate"];
        println!("{}", table("threads, ns", &threads, &two_threads(sockets)));
        if sockets {
            println!("{}", table("with sockets, µs", &columns, &with_sockets()));
            println!(
                "{}",
                table("other leases, µs", &["median"], &other_leases())
            );
        }
    });
}

fn dynamic() -> Plan {
    plan(&PortRange::DYNAMIC.into(), None, &Reserved::default()).expect("ports")
}

fn allocator(policy: PortPolicy) -> Allocator {
    Allocator::new(dynamic(), policy).expect("a seed")
}

fn space() -> Space {
    Space::udp(LOCAL)
}

/// A different peer for each iteration, as with a server.
fn peer(turn: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from_bits(0x7f01_0000 | (turn & 0xffff)), 4000))
}

fn without_sockets() -> Vec<Row> {
    vec![
        Row::new("pool: draw and release, with a lock", FREE.map(core)),
        Row::new(
            "allocator: claim and drop",
            FREE.map(|free| claims(free, true)),
        ),
        Row::new(
            "the same without a peer",
            FREE.map(|free| claims(free, false)),
        ),
    ]
}

/// Draws and releases like the allocator, without clock, port guards and statistics.
fn core(free: u16) -> f64 {
    let now = Instant::now();
    let rng = ChaCha8Rng::from_seed([1; 32]);
    let state = Mutex::new((Pool::new(&dynamic(), PortPolicy::default(), now), rng));
    let draw = |peer| {
        let mut state = state.lock().expect("no panic");
        let (pool, rng) = &mut *state;
        pool.draw(space(), peer, rng, now).expect("free")
    };
    let _busy: Vec<PoolLease> = (free..PortRange::DYNAMIC.len())
        .map(|_| draw(None))
        .collect();
    nanoseconds(|turn| {
        let held = draw(Some(peer(turn)));
        state.lock().expect("no panic").0.release(held, now);
    })
}

fn claims(free: u16, with_peer: bool) -> f64 {
    let allocator = allocator(PortPolicy::default());
    let claim = |peer| allocator.claim(space(), peer, |_| Ok(())).expect("free");
    let _busy: Vec<Lease<()>> = (free..PortRange::DYNAMIC.len())
        .map(|_| claim(None))
        .collect();
    nanoseconds(|turn| drop(claim(with_peer.then(|| peer(turn)))))
}

fn two_threads(sockets: bool) -> Vec<Row> {
    let allocator = allocator(PortPolicy::default());
    let claims = |turn| {
        let lease = allocator.claim(space(), Some(peer(turn)), |_| Ok(()));
        drop(lease.expect("free"));
    };
    let rng = ChaCha8Rng::from_seed([1; 32]);
    let now = Instant::now();
    let state = Mutex::new((Pool::new(&dynamic(), PortPolicy::default(), now), rng));
    let bare = |turn| {
        let held = {
            let mut state = state.lock().expect("no panic");
            let (pool, rng) = &mut *state;
            pool.draw(space(), Some(peer(turn)), rng, now)
                .expect("free")
        };
        state.lock().expect("no panic").0.release(held, now);
    };
    let mut rows = vec![
        Row::new("allocator: claim and drop", alone_and_beside(claims)),
        Row::new("pool behind a standard lock", alone_and_beside(bare)),
    ];
    if sockets {
        let peer_socket = UdpSocket::bind((LOCAL, 0)).expect("a free port");
        let to = peer_socket.local_addr().expect("bound");
        let without_rest = PortPolicy::default().quarantine(Quarantine::NONE);
        let allocator = self::allocator(without_rest);
        let lease = |_| drop(allocator.udp(LOCAL).peer(to).lease().expect("free"));
        rows.push(Row::new("lease with its socket", alone_and_beside(lease)));
    }
    rows
}

/// The time of an iteration with one thread, with two, and the ratio of their throughputs.
fn alone_and_beside(work: impl Fn(u32) + Sync) -> [f64; 3] {
    let (one, two) = (nanoseconds(&work), nanoseconds_of_two(&work));
    [one, two, 2.0 * one / two]
}

fn with_sockets() -> Vec<Row> {
    let peer_socket = UdpSocket::bind((LOCAL, 0)).expect("a free port");
    let to = peer_socket.local_addr().expect("bound");
    let measured = FREE.map(|free| {
        let policy = PortPolicy::default().quarantine(Quarantine::NONE);
        let allocator = allocator(policy);
        let lease = || allocator.udp(LOCAL).peer(to).lease().expect("free");
        let mut busy: Vec<Lease<UdpSocket>> = Vec::new();
        // The socket of the peer may have one of the ports.
        while allocator.counts(space()).free > free.into() {
            busy.push(lease());
        }
        let known: Vec<u16> = free_ports(&busy, to.port());
        let raw = microseconds(|turn| {
            let at = usize::try_from(turn).expect("small") * 7919 % known.len();
            let port = known.get(at).copied().expect("in the list");
            let socket = UdpSocket::bind((LOCAL, port)).expect("free");
            socket.connect(to).expect("loopback");
        });
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let drained = microseconds(|turn| {
            let at = usize::try_from(turn).expect("small") * 7919 % known.len();
            let port = known.get(at).copied().expect("in the list");
            let socket = UdpSocket::bind((LOCAL, port)).expect("free");
            socket.connect(to).expect("loopback");
            let nothing = SockRef::from(&socket).recv_with_flags(&mut byte, MSG_DONTWAIT);
            nothing.expect_err("no datagram");
        });
        let ours = microseconds(|_| drop(lease()));
        let kernel = microseconds(|_| {
            let socket = UdpSocket::bind((LOCAL, 0)).expect("free");
            socket.connect(to).expect("loopback");
        });
        [raw, drained, ours, kernel]
    });
    let column = |at: usize| measured.map(|row| row.get(at).copied().unwrap_or(f64::NAN));
    let (raw, drained, ours, kernel) = (column(0), column(1), column(2), column(3));
    let ratio = |mut of: [f64; 4], to: [f64; 4]| {
        of.iter_mut().zip(to).for_each(|(of, to)| *of /= to);
        of
    };
    vec![
        Row::new("raw calls on a port known to be free", raw),
        Row::new("the same, and early datagrams drained", drained),
        Row::new("lease: socket, bind, connect, drop", ours),
        Row::new("bind(0): the kernel chooses", kernel),
        Row::new("lease / raw calls", ratio(ours, raw)),
        Row::new("bind(0) / lease", ratio(kernel, ours)),
    ]
}

fn free_ports(busy: &[Lease<UdpSocket>], peer: u16) -> Vec<u16> {
    let taken: std::collections::HashSet<u16> = busy.iter().map(Lease::port).collect();
    let all = PortRange::DYNAMIC.iter();
    all.filter(|port| *port != peer && !taken.contains(port))
        .collect()
}

fn other_leases() -> Vec<Row> {
    let full = allocator(PortPolicy::default());
    let claim = || full.claim(space(), None, |_| Ok(()));
    let _busy: Vec<Lease<()>> = std::iter::from_fn(|| claim().ok()).collect();
    let exhausted = nanoseconds(|_| drop(claim())) / 1000.0;

    let peer_socket = UdpSocket::bind((LOCAL, 0)).expect("a free port");
    let to = peer_socket.local_addr().expect("bound");
    let empty = allocator(PortPolicy::default().quarantine(Quarantine::NONE));
    let both = [(Protocol::Udp, LOCAL), (Protocol::Tcp, LOCAL)];
    let set = microseconds(|_| drop(empty.set(both).lease().expect("free")));
    let sharing = WhenFull::FAIL.share(Sharing::last_ports(1));
    let range = "61000".parse().expect("a port");
    let one = plan(&range, None, &Reserved::default()).expect("a port");
    let policy = PortPolicy::default()
        .quarantine(Quarantine::NONE)
        .when_full(sharing);
    let mut rows = vec![
        Row::new("the error that no port is left", [exhausted]),
        Row::new("a set of UDP and TCP on one number", [set]),
    ];
    if let Ok(shared) = Allocator::new(one, policy) {
        let _stays = shared.udp(LOCAL).peer(to).lease().expect("free");
        let share = microseconds(|turn| {
            drop(shared.udp(LOCAL).peer(peer(turn)).lease().expect("room"));
        });
        rows.push(Row::new("a lease of a shared port", [share]));
    }
    rows
}
