//! A TFTP server, a portmapper and an RPC service in one process, on clones of one allocator.
//!
//! While transfers run and calls are made and forwarded, a monitor compares the kernel's list of this
//! process's sockets with the allocator's state of their ports: every socket is on a port that is
//! leased to it alone and not reserved, and `explain` names its peer.

mod machine;
mod monitor;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use eport_core::{Allocator, PortSet, PortState, Source, Space};
use machine::{ECHO, Echo1Client, ForeignRegistrations, Machine};
use monitor::Monitor;
use rpc_portmap::client::Client;
use rpc_portmap::rpcbind::v2::{self, CallArgs};
use rpc_portmap::rpcbind::{Netid, PROGRAM};
use rpc_portmap::xdr::{self, Opaque};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// The number of transfers, of forwarded calls, and of direct calls.
const ROUNDS: u32 = 300;
/// The number of each that run concurrently.
const CONCURRENT: u32 = 25;

/// Lets one test run at a time: the monitor sees all sockets of the process.
static EXCLUSIVE: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_port_is_leased_twice_and_no_reserved_port_is_leased() {
    let _exclusive = EXCLUSIVE.lock().await;
    let foreign = ForeignRegistrations::register().await;
    let allocator = foreign.allocator();
    let machine = Arc::new(Machine::start(&allocator, &foreign).await);
    let monitor = Monitor::start(allocator.clone());

    let mut load = JoinSet::new();
    for worker in 0..CONCURRENT {
        let rounds = ROUNDS / CONCURRENT;
        load.spawn(fetch(Arc::clone(&machine), allocator.clone(), rounds));
        load.spawn(call_through_the_portmapper(
            Arc::clone(&machine),
            worker,
            rounds,
        ));
        load.spawn(look_up_and_call(Arc::clone(&machine), worker, rounds));
    }
    while let Some(worker) = load.join_next().await {
        worker.expect("no worker fails");
    }

    let seen = monitor.stop();
    assert!(seen.sockets > 100, "too few sockets compared: {seen:?}");
    let transfers = machine.transfers();
    assert_eq!(transfers.len(), ROUNDS as usize);
    for port in transfers {
        assert!(allocator.plan().ports().contains(port), "{port}");
        assert!(!foreign.ports.contains(port), "{port} is registered");
    }
    Arc::into_inner(machine)
        .expect("no worker is left")
        .stop()
        .await;
    let stats = allocator.stats();
    assert_eq!(stats.leased, 0, "{stats:?}");
    // Two for each file (server and client), one for each forwarded call.
    assert!(stats.draws >= u64::from(3 * ROUNDS), "{stats:?}");
}

#[tokio::test]
async fn explain_names_the_registration_and_the_lease_of_a_port() {
    let _exclusive = EXCLUSIVE.lock().await;
    let foreign = ForeignRegistrations::register().await;
    let allocator = foreign.allocator();
    let machine = Machine::start(&allocator, &foreign).await;
    for space in [
        Space::udp(Ipv4Addr::LOCALHOST),
        Space::tcp(Ipv4Addr::LOCALHOST),
    ] {
        for port in [machine.portmapper_port, machine.service_port] {
            let state = allocator.explain(space, port);
            assert!(
                matches!(state, PortState::Leased { peer: None, .. }),
                "{state}"
            );
        }
        let registered = foreign.ports.iter().next().expect("there are some");
        let state = allocator.explain(space, registered);
        let PortState::Reserved(sources) = &state else {
            panic!("{registered} is {state}");
        };
        let by_portmapper = |source: &Source| matches!(source, Source::Portmapper(entry) if entry.program == machine::FOREIGN);
        assert!(sources.iter().any(by_portmapper), "{state}");
    }
    machine.stop().await;
}

async fn fetch(machine: Arc<Machine>, allocator: Allocator, rounds: u32) {
    let client = tftpd::Client::with_allocator(allocator).options(tftpd::proto::Options::default());
    for _ in 0..rounds {
        let bytes = client.get_bytes(machine.tftp, machine::FILE).await;
        assert_eq!(bytes.expect("a file"), machine::contents());
    }
}

/// Makes forwarded calls; the portmapper leases a port for each.
async fn call_through_the_portmapper(machine: Arc<Machine>, worker: u32, rounds: u32) {
    let client = Client::udp(machine.portmapper()).expect("loopback");
    let client = client.with_timeout(Duration::from_secs(20));
    for round in 0..rounds {
        let number = worker * ROUNDS + round;
        let call = CallArgs {
            program: ECHO.into(),
            version: 1.into(),
            procedure: 1.into(),
            args: Opaque::new(xdr::to_bytes(&number)).expect("short"),
        };
        let answer: v2::CallResult = client
            .call(PROGRAM, v2::VERSION, v2::CALLIT, &call)
            .await
            .expect("a forwarded call");
        assert_eq!(answer.port, u32::from(machine.service_port));
        assert_eq!(*answer.results, *xdr::to_bytes(&number));
    }
}

async fn look_up_and_call(machine: Arc<Machine>, worker: u32, rounds: u32) {
    let rpcbind = machine.rpcbind().await;
    for round in 0..rounds {
        let netid = if round % 2 == 0 {
            Netid::Tcp
        } else {
            Netid::Udp
        };
        let found = rpcbind
            .address(ECHO.into(), 1.into(), netid)
            .await
            .expect("an answer");
        let found = found.and_then(|address| address.socket_addr());
        let address = found.expect("a registration");
        assert_eq!(address.port(), machine.service_port);
        let client = match netid {
            Netid::Tcp => Client::tcp(address, Duration::from_secs(20)).await,
            _ => Client::udp(address),
        };
        let client = client
            .expect("loopback")
            .with_timeout(Duration::from_secs(20));
        let number = worker * ROUNDS + round;
        assert_eq!(
            Echo1Client(client).echo(number).await.expect("a result"),
            number
        );
    }
}

/// Every `nth` port of the set.
fn every(ports: &PortSet, nth: usize) -> PortSet {
    ports
        .iter()
        .step_by(nth)
        .filter_map(|port| eport_core::PortRange::new(port, port).ok())
        .collect()
}
