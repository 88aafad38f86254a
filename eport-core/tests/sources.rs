//! Reserved ports of a host: from fixture directories, and from a live kernel in a network namespace.
#![cfg(all(feature = "net", target_os = "linux"))]
#![expect(
    clippy::disallowed_methods,
    reason = "fixtures on disk, foreign sockets"
)]

mod common;

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use common::{address, foreign_socket, in_namespace, received, sh};
use eport_core::AddressFamily;
use eport_core::system::{BoundSocket, Host, HostError, SocketState, Sources};
use eport_core::{
    Allocator, Lease, Overlap, PortPolicy, PortSet, PortmapperEntry, Protocol, Quarantine, Source,
};

/// One of the hosts in the folder `fixtures/hosts`.
fn fixture(name: &str) -> Host {
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/hosts");
    let root = hosts.join(name);
    assert!(root.is_dir(), "{}", root.display());
    Host::at(root)
}

/// A directory with one file.
fn machine(path: &str, text: &str) -> (tempfile::TempDir, Host) {
    let root = tempfile::tempdir().expect("a directory");
    let file = root.path().join(path);
    fs::create_dir_all(file.parent().expect("a folder")).expect("a directory");
    fs::write(file, text).expect("a file");
    let host = Host::at(root.path());
    (root, host)
}

fn set(text: &str) -> PortSet {
    text.parse().expect(text)
}

fn chain(error: &dyn Error) -> String {
    let source = error.source().map(chain).unwrap_or_default();
    format!("{error}: {source}")
}

#[test]
fn each_source_keeps_its_provenance() {
    let host = fixture("busy");
    let nfs = PortmapperEntry::new(100_003, "superuser");
    let reserved = Sources::default()
        .services()
        .sockets(Protocol::Udp)
        .registered(nfs.clone(), 2049)
        .expect("a port")
        .exclude(&set("61100-61199"))
        .read(&host)
        .expect("readable");
    assert_eq!(
        reserved.ports_of(&Source::KernelReserved),
        set("8080,61500-61599")
    );
    assert_eq!(
        reserved.ports_of(&Source::BindresvportBlacklist),
        set("631,636")
    );
    assert_eq!(reserved.ports_of(&Source::User), set("61100-61199"));
    assert!(
        reserved
            .sources(69)
            .eq([Source::SystemPorts, Source::Services, Source::InUse])
    );
    assert!(
        reserved
            .sources(2049)
            .eq([Source::Services, Source::Portmapper(nfs)])
    );
    assert!(reserved.sources(61_001).eq([Source::InUse]));
}

#[test]
fn by_default_only_sources_for_reserved_ports_are_read() {
    let reserved = Sources::default().read(&fixture("busy")).expect("readable");
    let sources: Vec<_> = reserved.iter().map(|(source, _)| source.clone()).collect();
    assert_eq!(
        sources,
        [
            Source::SystemPorts,
            Source::KernelReserved,
            Source::BindresvportBlacklist
        ]
    );
    let nothing = Sources::nothing().read(&fixture("busy")).expect("readable");
    assert!(
        nothing
            .iter()
            .map(|(source, _)| source)
            .eq([&Source::SystemPorts])
    );
}

#[test]
fn a_host_without_files_reserves_the_system_ports_without_errors() {
    let empty = tempfile::tempdir().expect("a directory");
    let host = Host::at(empty.path());
    let everything = Sources::default()
        .services()
        .sockets(Protocol::Udp)
        .sockets(Protocol::Tcp);
    let reserved = everything.read(&host).expect("readable");
    assert_eq!(reserved.union(), set("1-1023"));
    assert_eq!(host.sockets(Protocol::Udp).expect("readable"), None);
    assert!(host.snapshot().unread.is_empty());
}

#[test]
fn a_malformed_source_is_named_with_its_line() {
    for (path, text, line) in [
        ("etc/bindresvport.blacklist", "631\nipp\n", 2),
        ("etc/services", "tftp 69/udp\n\nnfs\n", 3),
        ("proc/net/udp6", "header\n0: nonsense\n", 2),
        ("proc/self/limits", "Max open files lots lots\n", 1),
        ("proc/sys/net/core/rmem_max", "lots", 1),
    ] {
        let (root, host) = machine(path, text);
        let snapshot = host.snapshot();
        let [error] = snapshot.unread.as_slice() else {
            panic!("{path}: {:?}", snapshot.unread)
        };
        let message = chain(error);
        let file = root.path().join(path).display().to_string();
        assert!(
            message.contains(&format!("line {line} of {file}")),
            "{message}"
        );
        assert!(matches!(error, HostError::Line { .. }), "{message}");
    }
    let (_root, host) = machine("etc/bindresvport.blacklist", "ipp\n");
    let error = Allocator::builder().host(host).plan().expect_err("no plan");
    assert!(
        chain(&error).contains("\"ipp\" is not a port"),
        "{}",
        chain(&error)
    );
}

#[test]
fn a_source_is_read_again_on_request() {
    let (root, host) = machine("etc/bindresvport.blacklist", "631\n");
    let sources = Sources::default();
    let blacklisted = |sources: &Sources| {
        let reserved = sources.read(&host).expect("readable");
        reserved.ports_of(&Source::BindresvportBlacklist)
    };
    assert_eq!(blacklisted(&sources), set("631"));
    fs::write(
        root.path().join("etc/bindresvport.blacklist"),
        "631\n2049\n",
    )
    .expect("a file");
    assert_eq!(blacklisted(&sources), set("631,2049"));
}

#[test]
fn the_sources_and_the_overlap_policy_shape_an_allocators_plan() {
    let builder = || Allocator::builder().host(fixture("busy"));
    let sources = Sources::default().sockets(Protocol::Udp);
    let plan = builder().sources(sources).plan().expect("ports");
    // The kernel's range ends at 60999; 61001 is in use, 61500-61599 is reserved.
    assert_eq!(plan.ports(), &set("61000,61002-61499,61600-65535"));
    assert!(plan.left_out().sources(61_001).eq([Source::InUse]));

    let overlapping = "60000-60099".parse().expect("ports");
    let refused = builder().ports(overlapping).overlap(Overlap::Refuse).plan();
    let message = refused.expect_err("an overlap").to_string();
    assert!(
        message.contains("ip_local_reserved_ports=8080,60000-60099,61500-61599"),
        "{message}"
    );
}

#[test]
fn the_holders_of_sockets_are_found_by_their_inodes() {
    let host = fixture("two-servers");
    let sockets = host
        .sockets(Protocol::Udp)
        .expect("readable")
        .expect("a table");
    let inodes: BTreeSet<u64> = sockets.iter().map(|socket| socket.inode).collect();
    let holders = host.holders(&inodes);
    let names: Vec<String> = holders
        .values()
        .flatten()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["dnsmasq (412)", "in.tftpd (977)"]);
    assert!(host.holders(&BTreeSet::from([1])).is_empty());
}

#[test]
fn the_kernel_lists_foreign_sockets() {
    in_namespace("the_kernel_lists_foreign_sockets", || {
        let alone = foreign_socket(address("127.0.0.1:61000")).expect("free");
        alone
            .send_to(b"kept", address("127.0.0.1:61000"))
            .expect("loopback");
        let connected = foreign_socket(address("[::1]:61001")).expect("free");
        connected
            .connect((Ipv6Addr::LOCALHOST, 4000))
            .expect("loopback");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 61_002)).expect("free");
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, 61_002)).expect("loopback");
        let listed = |protocol| {
            let sockets = Host::new().sockets(protocol).expect("permitted");
            sockets.expect("Linux lists them")
        };
        let lines: Vec<String> = listed(Protocol::Udp)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                "udp 127.0.0.1:61000 unconnected",
                "udp [::1]:61001 connected to [::1]:4000"
            ]
        );
        let tcp = listed(Protocol::Tcp);
        let states = |state| tcp.iter().filter(|socket| socket.state == state).count();
        assert_eq!(states(SocketState::Listening), 1, "{tcp:?}");
        assert_eq!(states(SocketState::Connected), 2, "{tcp:?}");
        assert!(
            tcp.iter()
                .any(|socket| socket.port() == client.local_addr().expect("bound").port())
        );
        let kept = received(&alone).expect("listing receives no datagram");
        assert_eq!(kept, b"kept");
        drop((alone, listener));
        assert_eq!(listed(Protocol::Udp).len(), 1, "it is read again");
    });
}

#[test]
fn the_kernels_list_agrees_with_its_tables_for_thousands_of_sockets() {
    in_namespace(
        "the_kernels_list_agrees_with_its_tables_for_thousands_of_sockets",
        || {
            let sockets: Vec<_> = (20_000..24_000)
                .map(|port| {
                    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
                    foreign_socket(if port % 2 == 0 { v4 } else { v6 }).expect("free")
                })
                .collect();
            let tables = tempfile::tempdir().expect("a directory");
            let folder = tables.path().join("proc/net");
            fs::create_dir_all(&folder).expect("a directory");
            for table in ["udp", "udp6"] {
                let text = sh(&format!("cat /proc/self/net/{table}"));
                fs::write(folder.join(table), text).expect("a file");
            }
            let listed = |host: Host| {
                let found = host.sockets(Protocol::Udp).expect("readable");
                found.expect("Linux lists them")
            };
            let (live, recorded) = (listed(Host::new()), listed(Host::at(tables.path())));
            assert_eq!(live.len(), sockets.len());
            // The only field that the tables lack.
            let without_only_v6 = |mut socket: BoundSocket| {
                socket.only_v6 = None;
                socket
            };
            assert!(live.iter().cloned().map(without_only_v6).eq(recorded));
            let dual = live.iter().filter(|socket| socket.only_v6 == Some(false));
            assert_eq!(dual.count(), 2000);
            let six = |socket: &&BoundSocket| socket.family == AddressFamily::Ipv6;
            assert_eq!(live.iter().filter(six).count(), 2000);
        },
    );
}

#[test]
fn known_foreign_sockets_cost_no_bind_and_own_sockets_are_not_foreign() {
    in_namespace(
        "known_foreign_sockets_cost_no_bind_and_own_sockets_are_not_foreign",
        || {
            let mut others: Vec<_> = (61_000..61_020)
                .map(|port| foreign_socket((Ipv4Addr::LOCALHOST, port)).expect("free"))
                .collect();
            let sources = Sources::default().known_sockets(Protocol::Udp);
            let host = Host::new();
            let allocator = Allocator::builder()
                .ports("61000-61039".parse().expect("a range"))
                .sources(sources.clone())
                .policy(PortPolicy::default().quarantine(Quarantine::NONE))
                .build()
                .expect("ports");
            let lease = || {
                allocator
                    .udp(Ipv4Addr::LOCALHOST)
                    .peer(address("127.0.0.1:9"))
                    .lease()
            };
            let mut leases: Vec<_> = (0..20).map(|_| lease().expect("free")).collect();
            assert_eq!(allocator.stats().in_use, 0);
            let ports: BTreeSet<u16> = leases.iter().map(Lease::port).collect();
            assert!(ports.into_iter().eq(61_020..=61_039));
            let reloaded = allocator.reload(&sources, &host).expect("permitted");
            assert_eq!(reloaded.in_use, Some(20), "own sockets are not counted");

            others.truncate(10);
            leases.truncate(15);
            let reloaded = allocator.reload(&sources, &host).expect("permitted");
            assert_eq!(reloaded.in_use, Some(10));
            leases.extend((0..15).map(|_| lease().expect("free")));
            let stats = allocator.stats();
            assert_eq!((stats.in_use, stats.free, stats.foreign), (0, 0, 10));
        },
    );
}

#[test]
fn a_socket_of_our_own_has_this_process_as_its_holder() {
    in_namespace("a_socket_of_our_own_has_this_process_as_its_holder", || {
        let _ours = foreign_socket(address("127.0.0.1:61000")).expect("free");
        let snapshot = Host::new().snapshot();
        assert!(snapshot.unread.is_empty(), "{:?}", snapshot.unread);
        let [socket] = snapshot.known_sockets() else {
            panic!("{:?}", snapshot.sockets)
        };
        let pids: Vec<u32> = snapshot
            .holders_of(socket)
            .iter()
            .map(|process| process.pid)
            .collect();
        assert_eq!(pids, [std::process::id()]);
        assert!(snapshot.open_files.is_some_and(|limit| limit.soft > 0));
        assert_eq!(snapshot.unprivileged_from, Some(1024));
    });
}
