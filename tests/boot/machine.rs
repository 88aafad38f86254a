//! A network with a TFTP server, a DHCP server and a virtual machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use tempfile::TempDir;
use tests::netns::Netns;
use tests::process::Process;
use tests::program::{Program, Task};
use tests::server::Server;
use tests::{host, peers};

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 98, 0, 1));
const PORTS: RangeInclusive<u16> = 61_000..=61_999;
const BRIDGE: &str = "bridge0";
const TAP: &str = "tap0";

/// The limit for dnsmasq to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Returns true if a machine can be booted here with these further programs; prints the reason if not.
#[track_caller]
pub(crate) fn available(more: &[&str]) -> bool {
    let needed = [
        "ip",
        "dnsmasq",
        "qemu-system-x86_64",
        "/usr/share/seabios/bios-256k.bin",
        peers::IPXE_ROM,
    ];
    let server = Program::under_test().peer();
    let programs: Vec<_> = needed.iter().chain(more).copied().chain(server).collect();
    peers::available(&programs)
}

/// The network without the machine. The fields are dropped in their order.
pub(crate) struct Lab {
    server: Server,
    dhcp: Process,
    namespace: Netns,
    folder: TempDir,
}

impl Lab {
    #[track_caller]
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("the system has a folder for temporary files");
        let root = folder.path().join("root");
        std::fs::create_dir(&root).expect("the folder is new");
        let namespace = Netns::new();
        namespace.bridge_with_tap(BRIDGE, TAP);
        namespace.address(BRIDGE, SERVER, 24);
        let task = Task {
            listen: SocketAddr::new(SERVER, 69),
            ..Task::reading(&root, &PORTS)
        };
        let server = Server::start(Program::under_test(), &namespace, &task);
        let dhcp = dnsmasq(&namespace);
        Self {
            server,
            dhcp,
            namespace,
            folder,
        }
    }

    /// Puts a file into the server's folder.
    #[track_caller]
    pub(crate) fn serve(&self, name: &str, bytes: impl AsRef<[u8]>) {
        host::write(&self.folder.path().join("root").join(name), bytes);
    }

    /// Starts a machine that boots from the network, with its serial console as output.
    #[track_caller]
    pub(crate) fn start(&self) -> Process {
        let mut qemu = self.namespace.command(peers::path("qemu-system-x86_64"));
        qemu.args([
            "-nodefaults",
            "-no-user-config",
            "-machine",
            "pc,graphics=off",
            "-m",
            "512",
        ]);
        qemu.args([
            "-display",
            "none",
            "-serial",
            "stdio",
            "-no-reboot",
            "-boot",
            "n",
        ]);
        qemu.args([
            "-netdev",
            &format!("tap,id=net0,ifname={TAP},script=no,downscript=no"),
        ]);
        // QEMU chooses the ROM: it patches the card's identity into that one, but not into one named here.
        qemu.args(["-device", "virtio-net-pci,netdev=net0"]);
        Process::start(&mut qemu)
    }

    /// Waits for a line on the machine's console.
    #[track_caller]
    pub(crate) fn wait_for(&self, machine: &Process, marker: &str, limit: Duration) {
        assert!(
            machine.line_with(marker, limit).is_some(),
            "the machine has not booted within {limit:?};\nconsole:\n{}\nserver:\n{}\nDHCP:\n{}",
            machine.output(),
            self.server.output(),
            self.dhcp.output()
        );
    }
}

/// Starts dnsmasq as a DHCP server that names our TFTP server; its own DNS and TFTP are off.
#[track_caller]
fn dnsmasq(namespace: &Netns) -> Process {
    let mut command = namespace.command(peers::path("dnsmasq"));
    command.args([
        "--conf-file=/dev/null",
        "--keep-in-foreground",
        "--log-facility=-",
        "--log-dhcp",
        "--user=root",
    ]);
    command.args([
        "--pid-file=",
        "--leasefile-ro",
        "--no-resolv",
        "--no-hosts",
        "--no-ping",
        "--port=0",
    ]);
    command.args([&format!("--interface={BRIDGE}"), "--bind-interfaces"]);
    command.args([
        "--dhcp-range=10.98.0.50,10.98.0.60,1h",
        &format!("--dhcp-boot=boot.ipxe,,{SERVER}"),
    ]);
    let process = Process::start(&mut command);
    process.wait_for_line("DHCP, IP range", PATIENCE);
    process
}
