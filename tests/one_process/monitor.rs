//! Compares the kernel's list of sockets with the allocator's state of their ports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use eport_core::system::{BoundSocket, Host, SocketState};
use eport_core::{Allocator, PortSet, PortState, Protocol, Space};

/// A thread that compares until it is stopped.
pub(crate) struct Monitor {
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// The result of all comparisons.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The number of different sockets.
    pub(crate) sockets: usize,
}

impl Monitor {
    pub(crate) fn start(allocator: Allocator) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = std::thread::spawn(move || {
            // Without the reservations: a socket on a reserved port must be noticed.
            let range = Allocator::builder().plan().expect("a plan");
            let mut sockets = BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                sockets.extend(compare(&allocator, range.ports()));
            }
            Seen {
                sockets: sockets.len(),
            }
        });
        Self { stopping, thread }
    }

    /// Stops the thread and returns its result; a panic of the thread is resumed.
    pub(crate) fn stop(self) -> Seen {
        self.stopping.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(seen) => seen,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Compares all sockets once; returns the inodes of those compared.
///
/// A socket that exists before and after the query of the allocator existed in between, so its port
/// must have been leased to it at that moment.
fn compare(allocator: &Allocator, range: &PortSet) -> BTreeSet<u64> {
    let before = sockets(range);
    let states: BTreeMap<u64, (BoundSocket, PortState)> = before
        .into_iter()
        .map(|socket| {
            let space = Space::new(socket.protocol, socket.local.ip());
            let state = allocator.explain(space, socket.port());
            (socket.inode, (socket, state))
        })
        .collect();
    let after = sockets(range);
    assert_ports_are_distinct(&after);
    let stayed: BTreeSet<_> = after.iter().map(|socket| socket.inode).collect();
    let both = states.iter().filter(|(inode, _)| stayed.contains(inode));
    both.map(|(inode, (socket, state))| {
        assert_leased(socket, state);
        *inode
    })
    .collect()
}

#[track_caller]
fn assert_ports_are_distinct(sockets: &[BoundSocket]) {
    let mut holders: BTreeMap<(u8, SocketAddr), &BoundSocket> = BTreeMap::new();
    for socket in sockets {
        let key = (socket.protocol.number(), socket.local);
        if let Some(other) = holders.insert(key, socket) {
            panic!("one port, two sockets: {socket:?} and {other:?}");
        }
    }
}

#[track_caller]
fn assert_leased(socket: &BoundSocket, state: &PortState) {
    let PortState::Leased { peer, .. } = state else {
        panic!("the state of the port of {socket:?} is {state}");
    };
    // A socket is bound before it is connected.
    assert!(
        socket.peer.is_none() || socket.peer == *peer,
        "{socket:?} has state {state}"
    );
}

/// The sockets of this process on ports of the range, without TCP connections, which share the port of
/// their listener.
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

/// The inodes of the sockets of this process.
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
