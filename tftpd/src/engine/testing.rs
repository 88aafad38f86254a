//! An admission on channels in memory, for the tests of this folder.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{
    admission::{
        Admission, Service,
        limits::{Caps, TransferCount},
    },
    transfer::channel::memory::MemoryPorts,
};
use crate::{
    backend::{Backend, ContentSender, Memory, OpenError, Opened, Upload, pending},
    net::Arrival,
    policy::{Name, RequestPolicy, Rule, Rules},
    proto::{GrantLimits, Patience},
};

/// A read request for a file of 600 bytes.
pub(super) const REQUEST: &[u8] = b"\x00\x01x\x00octet\x00";

/// Files in memory, and files that are pending, denied or busy by their names.
#[derive(Default)]
pub(super) struct TestBackend {
    files: Memory,
    pub(super) senders: Mutex<Vec<ContentSender>>,
    pub(super) opened: AtomicU32,
}

impl Backend for TestBackend {
    fn open_read(&self, name: &Name, client: SocketAddr) -> Result<Opened, OpenError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        match name.as_bytes() {
            b"slow" => {
                let (sender, content) = pending();
                self.senders.lock().expect("sound").push(sender);
                Ok(Opened::Pending(content))
            }
            b"secret" => Err(OpenError::Denied),
            b"busy" => Err(OpenError::Busy(std::io::ErrorKind::OutOfMemory.into())),
            _ => self.files.open_read(name, client),
        }
    }

    fn open_write(
        &self,
        name: &Name,
        client: SocketAddr,
        announced: Option<u64>,
    ) -> Result<Box<dyn Upload>, OpenError> {
        self.files.open_write(name, client, announced)
    }
}

/// An admission with access to its surroundings.
pub(super) struct TestAdmission {
    pub(super) admission: Admission<MemoryPorts>,
    pub(super) backend: Arc<TestBackend>,
    pub(super) files: Memory,
    pub(super) ports: MemoryPorts,
    pub(super) woken: Arc<AtomicU32>,
}

/// Service options of a test.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub(super) single_port: bool,
    pub(super) broadcast: bool,
}

pub(super) fn admission(caps: Caps, options: Options) -> TestAdmission {
    let files = Memory::new().with("x", vec![7; 600]).writable(1000);
    let backend = Arc::new(TestBackend {
        files: files.clone(),
        ..TestBackend::default()
    });
    let rules = [
        Rule::matching("^denied$").deny(),
        Rule::matching("^alias$").rewrite("x"),
    ];
    let policy = RequestPolicy {
        rules: Rules::new(rules.map(|rule| rule.build().expect("a rule"))),
        ..RequestPolicy::default()
    };
    let service = Service {
        policy,
        backend: Arc::clone(&backend) as Arc<dyn Backend>,
        limits: GrantLimits::default(),
        patience: Patience::default(),
        single_port: options.single_port,
        broadcast: options.broadcast,
    };
    let ports = MemoryPorts {
        is_shared: options.single_port,
        ..MemoryPorts::default()
    };
    ports.left.set(1000);
    let woken = Arc::<AtomicU32>::default();
    let wake = {
        let woken = Arc::clone(&woken);
        Arc::new(move || {
            woken.fetch_add(1, Ordering::Relaxed);
        })
    };
    let count = Arc::<TransferCount>::default();
    TestAdmission {
        admission: Admission::new(service, ports.clone(), caps, count, wake),
        backend,
        files,
        ports,
        woken,
    }
}

/// Limits of `transfers` in total.
pub(super) fn caps(transfers: usize) -> Caps {
    Caps::default().with_transfers(NonZeroUsize::new(transfers).expect("not zero"))
}

pub(super) fn nonzero(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

/// A client of the prefix 192.0.`net`.0/24.
pub(super) fn client(net: u8, port: u16) -> SocketAddr {
    ([192, 0, net, 7], port).into()
}

pub(super) fn arrival(bytes: &[u8], client: SocketAddr) -> Arrival<'_> {
    Arrival {
        bytes,
        client,
        local: "10.0.0.1:69".parse().expect("an address"),
        unicast: true,
    }
}
