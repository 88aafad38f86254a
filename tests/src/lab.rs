//! Two namespaces joined by a veth pair, and a folder to serve. Each test starts the server with its
//! own arguments.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::client::Client;
use crate::host;
use crate::netns::Netns;
use crate::server::Server;

/// The name of the interface at both ends.
pub const CABLE: &str = "cable0";

/// The addresses of the server: three of each family, IPv4 first.
pub const SERVERS: [IpAddr; 6] = [v4(1), v4(2), v4(3), v6(1), v6(2), v6(3)];

/// One address of each family, for a server that lets the kernel choose the source address of its
/// answers: with a single address the choice is fixed.
pub const ONE_OF_EACH_FAMILY: [IpAddr; 2] = [v4(1), v6(1)];

/// The addresses of the clients, IPv4 and IPv6.
pub const CLIENTS: [IpAddr; 2] = [v4(100), v6(100)];

/// The broadcast address of the IPv4 network.
pub const BROADCAST: IpAddr = v4(255);

/// A veth pair with a server's folder. The fields are dropped in their order.
#[derive(Debug)]
pub struct Lab {
    /// The namespace of the server.
    pub there: Netns,
    /// The namespace of the clients.
    pub here: Netns,
    folder: TempDir,
}

impl Lab {
    /// Creates the veth pair and assigns the addresses of both ends.
    ///
    /// # Panics
    /// If the caller is not root.
    #[track_caller]
    pub fn new() -> Self {
        Self::with_servers(&SERVERS)
    }

    /// Creates the veth pair with these addresses of the server only.
    ///
    /// # Panics
    /// If the caller is not root.
    #[track_caller]
    pub fn with_servers(servers: &[IpAddr]) -> Self {
        let (there, here) = (Netns::new(), Netns::new());
        there.cable(&here, CABLE);
        for &address in servers {
            there.address(CABLE, address, prefix(address));
        }
        for address in CLIENTS {
            here.address(CABLE, address, prefix(address));
        }
        // By default a host sends about one ICMP unreachable per second and destination (1,000 ms).
        for variable in ["net.ipv4.icmp_ratelimit", "net.ipv6.icmp.ratelimit"] {
            here.sysctl(variable, "0");
        }
        let folder = TempDir::new().expect("the system has a folder for temporary files");
        let lab = Self {
            there,
            here,
            folder,
        };
        std::fs::create_dir(lab.root()).expect("the folder is empty");
        lab
    }

    /// Returns the folder that is served.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Returns the folder above it, for files that are not served.
    pub fn beside(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder that is served.
    ///
    /// # Panics
    /// If it cannot be written.
    #[track_caller]
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root().join(name);
        host::write(&path, bytes);
        path
    }

    /// Starts `tftpd` for the folder, with these words as further arguments.
    ///
    /// # Panics
    /// If it does not start to listen.
    #[track_caller]
    pub fn serve(&self, arguments: &str) -> Server {
        let root = self.root();
        let words = arguments.split_whitespace().map(AsRef::as_ref);
        Server::tftpd(&self.there, [root.as_os_str()].into_iter().chain(words))
    }

    /// Binds a client of port 69 on this address of the server, to the client's address of that family.
    ///
    /// # Panics
    /// If it cannot be bound.
    #[track_caller]
    pub fn client(&self, server: IpAddr) -> Client {
        self.client_of(SocketAddr::new(server, 69))
    }

    /// Binds a client of a server on another port.
    ///
    /// # Panics
    /// If it cannot be bound.
    #[track_caller]
    pub fn client_of(&self, server: SocketAddr) -> Client {
        let [v4, v6] = CLIENTS;
        let from = if server.is_ipv4() { v4 } else { v6 };
        Client::new(&self.here, SocketAddr::new(from, 0), server)
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

const fn v4(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 99, 0, host))
}

const fn v6(host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, host))
}

fn prefix(address: IpAddr) -> u8 {
    if address.is_ipv6() { 64 } else { 24 }
}
