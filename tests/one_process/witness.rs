//! Who compares the kernel's list of sockets with what the allocator says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use eport_core::system::{BoundSocket, Host, SocketState};
use eport_core::{Allocator, PortSet, PortState, Protocol, Space};

/// A thread that looks again and again.
pub(crate) struct Witness {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// What was compared.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How many different sockets.
    pub(crate) sockets: usize,
}

impl Witness {
    pub(crate) fn start(allocator: Allocator) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&enough);
        let thread = std::thread::spawn(move || {
            // Without the reservations: a socket on a reserved port must not escape.
            let range = Allocator::builder().plan().expect("a plan");
            let mut sockets = BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                sockets.extend(look(&allocator, range.ports()));
            }
            Seen {
                sockets: sockets.len(),
            }
        });
        Self { enough, thread }
    }

    /// What it has seen; its panic is passed on.
    pub(crate) fn stop(self) -> Seen {
        self.enough.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(seen) => seen,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Compares everything once; which sockets were compared.
///
/// A socket that is there before and after the allocator was asked was there all the time, so its
/// port must have been handed out to it at that moment.
fn look(allocator: &Allocator, range: &PortSet) -> BTreeSet<u64> {
    let before = sockets(range);
    let said: BTreeMap<u64, (BoundSocket, PortState)> = before
        .into_iter()
        .map(|socket| {
            let space = Space::new(socket.protocol, socket.local.ip());
            let state = allocator.explain(space, socket.port());
            (socket.inode, (socket, state))
        })
        .collect();
    let after = sockets(range);
    assert_each_has_a_port_of_its_own(&after);
    let stayed: BTreeSet<_> = after.iter().map(|socket| socket.inode).collect();
    let both = said.iter().filter(|(inode, _)| stayed.contains(inode));
    both.map(|(inode, (socket, state))| {
        assert_is_named(socket, state);
        *inode
    })
    .collect()
}

#[track_caller]
fn assert_each_has_a_port_of_its_own(sockets: &[BoundSocket]) {
    let mut holders: BTreeMap<(u8, SocketAddr), &BoundSocket> = BTreeMap::new();
    for socket in sockets {
        let place = (socket.protocol.number(), socket.local);
        if let Some(other) = holders.insert(place, socket) {
            panic!("one port, two sockets: {socket:?} and {other:?}");
        }
    }
}

#[track_caller]
fn assert_is_named(socket: &BoundSocket, state: &PortState) {
    let PortState::Leased { peer, .. } = state else {
        panic!("the port of {socket:?} is said to be {state}");
    };
    // A socket is bound before it is connected.
    assert!(
        socket.peer.is_none() || socket.peer == *peer,
        "{socket:?} is said to be {state}"
    );
}

/// The sockets of this process on ports of the range, connections of TCP aside: those share the
/// port of their listener.
fn sockets(range: &PortSet) -> Vec<BoundSocket> {
    let own = inodes();
    let host = Host::new();
    let all = [Protocol::Udp, Protocol::Tcp].map(|protocol| {
        let sockets = host.sockets(protocol).expect("the kernel lists them");
        sockets.unwrap_or_default()
    });
    all.into_iter()
        .flatten()
        .filter(|socket| socket.protocol == Protocol::Udp || socket.state == SocketState::Listening)
        .filter(|socket| own.contains(&socket.inode) && range.contains(socket.port()))
        .collect()
}

/// The sockets that this process has open.
fn inodes() -> BTreeSet<u64> {
    let descriptors = fs::read_dir("/proc/self/fd").expect("procfs");
    descriptors
        .flatten()
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            let text = target.to_str()?;
            let inode = text.strip_prefix("socket:[")?.strip_suffix(']')?;
            inode.parse().ok()
        })
        .collect()
}
