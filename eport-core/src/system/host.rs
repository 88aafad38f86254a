//! The configuration and the sockets of a machine.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::files::{self, AtLine};
use super::netlink::Connection;
use super::process::socket_inode;
use super::{BoundSocket, HostError, OpenFiles, Process, Service, SocketState, netlink, table};
use crate::address::{AddressFamily, Protocol};
use crate::ports::{Ephemeral, ParsePortsError, PortRange, PortSet};

/// Reads how this machine (or a directory that looks like one) is configured.
///
/// A file that does not exist is not an error: a container may hide `/proc/sys`, and other systems
/// than Linux have none. Then nothing is known, which [`plan`](crate::plan()) takes as "nothing to
/// avoid". A file that exists and cannot be read or understood is an error. Nothing is cached:
/// each call reads again.
///
/// ```
/// # use eport_core::system::Host;
/// if let Some(range) = Host::new().ephemeral_range()? {
///     println!("the kernel hands out {range}");
/// }
/// # Ok::<(), eport_core::system::HostError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// This machine.
    pub fn new() -> Self {
        Self::at("/")
    }

    /// A directory that stands for the root of a machine: its sysctls are in `proc/sys`, its
    /// settings in `etc`, its sockets in the tables `proc/net/{udp,tcp,sctp}{,6}`, and the process
    /// that asks is `proc/self`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The ports from which the kernel chooses (`net.ipv4.ip_local_port_range`, which counts for
    /// IPv6 as well); `None` when the system does not report it.
    ///
    /// # Errors
    /// [`HostError`] when the file is there and unreadable, or holds something else than a range.
    pub fn ephemeral_range(&self) -> Result<Option<PortRange>, HostError> {
        self.sysctl("net/ipv4/ip_local_port_range", |text| {
            let mut numbers = text.split_ascii_whitespace();
            let (Some(first), Some(last), None) = (numbers.next(), numbers.next(), numbers.next())
            else {
                return Err(ParsePortsError::Nothing);
            };
            // Two ports with a hyphen are a range, so one parser judges both numbers.
            format!("{first}-{last}").parse()
        })
    }

    /// The ports that the kernel is configured not to choose (`net.ipv4.ip_local_reserved_ports`);
    /// empty when the system does not report it.
    ///
    /// # Errors
    /// [`HostError`] when the file is there and unreadable, or holds something else than ports.
    pub fn reserved_ports(&self) -> Result<PortSet, HostError> {
        let found = self.sysctl(
            "net/ipv4/ip_local_reserved_ports",
            PortSet::from_kernel_list,
        )?;
        Ok(found.unwrap_or_default())
    }

    /// [`ephemeral_range`](Self::ephemeral_range) for each family; on Linux they are the same.
    ///
    /// # Errors
    /// As for [`ephemeral_range`](Self::ephemeral_range).
    pub fn ephemeral(&self) -> Result<Ephemeral, HostError> {
        self.ephemeral_range().map(Ephemeral::from)
    }

    /// The ports in `/etc/bindresvport.blacklist`, which no RPC service is to take by chance.
    ///
    /// # Errors
    /// [`HostError`] when the file is there and unreadable, or a line of it is not a port.
    pub fn bindresvport_blacklist(&self) -> Result<PortSet, HostError> {
        let found = self.file("etc/bindresvport.blacklist", files::blacklist)?;
        Ok(found.unwrap_or_default())
    }

    /// The entries of `/etc/services`.
    ///
    /// # Errors
    /// [`HostError`] when the file is there and unreadable, or a line of it names no port.
    pub fn services(&self) -> Result<Vec<Service>, HostError> {
        let found = self.file("etc/services", files::services)?;
        Ok(found.unwrap_or_default())
    }

    /// The sockets of a protocol that have a port, lowest port first, of all users;
    /// `None` when the system does not report it.
    ///
    /// This machine's kernel is asked twice, once for each family, however many sockets there are;
    /// what it lists are the sockets of the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`HostError::Sockets`] when the kernel refuses, and for a directory [`HostError`] when a
    /// table cannot be read.
    pub fn sockets(&self, protocol: Protocol) -> Result<Option<Vec<BoundSocket>>, HostError> {
        let mut all = None;
        for family in [AddressFamily::Ipv4, AddressFamily::Ipv6] {
            if let Some(found) = self.sockets_of(protocol, family)? {
                all.get_or_insert_with(Vec::new).extend(found);
            }
        }
        if let Some(sockets) = &mut all {
            sockets.retain(|socket| socket.port() != 0);
            sockets.sort_by_key(|socket| (socket.port(), socket.local, socket.peer, socket.inode));
        }
        Ok(all)
    }

    /// Returns true if a socket of this protocol takes what is sent to `address`, or has its port on
    /// another address; TCP sockets count if they listen. `None` when the system has no such list.
    ///
    /// # Errors
    /// As for [`sockets`](Self::sockets).
    pub fn is_bound(
        &self,
        protocol: Protocol,
        address: SocketAddr,
    ) -> Result<Option<bool>, HostError> {
        if self.is_live() {
            let bound = Connection::open()
                .and_then(|mut connection| connection.is_bound(protocol, address));
            return bound.map(Some).map_err(|source| HostError::Sockets {
                protocol,
                family: netlink::family_of(address),
                source,
            });
        }
        let takes = |socket: &BoundSocket| {
            let mut families = netlink::families_with(address);
            socket.port() == address.port()
                && families.any(|family| family == socket.family)
                && (protocol == Protocol::Udp || socket.state == SocketState::Listening)
        };
        Ok(self
            .sockets(protocol)?
            .map(|sockets| sockets.iter().any(takes)))
    }

    fn sockets_of(
        &self,
        protocol: Protocol,
        family: AddressFamily,
    ) -> Result<Option<Vec<BoundSocket>>, HostError> {
        if self.is_live() {
            let found =
                Connection::open().and_then(|mut connection| connection.dump(protocol, family));
            return found.map(Some).map_err(|source| HostError::Sockets {
                protocol,
                family,
                source,
            });
        }
        let six = if family == AddressFamily::Ipv6 {
            "6"
        } else {
            ""
        };
        self.file(&format!("proc/net/{protocol}{six}"), |text| {
            table::sockets(text, protocol, family)
        })
    }

    /// The processes that hold the sockets with these inodes, as far as this process may read them: those
    /// of other users are hidden from ordinary users.
    pub fn holders(&self, inodes: &BTreeSet<u64>) -> BTreeMap<u64, Vec<Process>> {
        let mut holders: BTreeMap<u64, Vec<Process>> = BTreeMap::new();
        if inodes.is_empty() {
            return holders;
        }
        let processes = self.root.join("proc");
        for pid in names(&processes).filter_map(|name| name.parse().ok()) {
            let process = processes.join(u32::to_string(&pid));
            let held: BTreeSet<u64> = names(&process.join("fd"))
                .filter_map(|descriptor| self.target(&process.join("fd").join(descriptor)))
                .filter_map(|target| socket_inode(&target))
                .filter(|inode| inodes.contains(inode))
                .collect();
            let command = if held.is_empty() {
                String::new()
            } else {
                read(&process.join("comm")).unwrap_or_default()
            };
            for inode in held {
                let command = command.trim_end().to_owned();
                holders
                    .entry(inode)
                    .or_default()
                    .push(Process { pid, command });
            }
        }
        for processes in holders.values_mut() {
            processes.sort();
        }
        holders
    }

    /// The target of a descriptor, if it can be read. A recording cannot hold links to sockets, so
    /// there it may be a file with the text of the link.
    fn target(&self, descriptor: &Path) -> Option<String> {
        match read_link(descriptor) {
            Ok(target) => target.into_os_string().into_string().ok(),
            Err(_) if self.is_live() => None,
            Err(_) => read(descriptor).ok(),
        }
    }

    fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// The number of files that this process may have open; `None` when the system does not report it.
    ///
    /// # Errors
    /// [`HostError`] when `/proc/self/limits` is there and cannot be read or understood.
    pub fn open_files(&self) -> Result<Option<OpenFiles>, HostError> {
        let found = self.file("proc/self/limits", files::open_files)?;
        Ok(found.flatten())
    }

    /// Returns true if this process may bind privileged ports (`CAP_NET_BIND_SERVICE`); `None` when
    /// the system does not report it.
    ///
    /// # Errors
    /// [`HostError`] when `/proc/self/status` is there and cannot be read or understood.
    pub fn may_bind_privileged(&self) -> Result<Option<bool>, HostError> {
        let found = self.file("proc/self/status", files::binds_privileged)?;
        Ok(found.flatten())
    }

    /// The sysctl `name`, such as `net/core/rmem_max`, if it is a number; `None` when there is no
    /// such sysctl.
    ///
    /// # Errors
    /// [`HostError`] when the file is there and cannot be read, or is not a number.
    pub fn number(&self, name: &str) -> Result<Option<u64>, HostError> {
        self.file(&format!("proc/sys/{name}"), files::number)
    }

    fn sysctl<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, ParsePortsError>,
    ) -> Result<Option<T>, HostError> {
        let path = self.root.join("proc/sys").join(name);
        let text = optional(&path)?;
        let parsed = text.as_deref().map(parse).transpose();
        parsed.map_err(|source| HostError::Malformed { path, source })
    }

    fn file<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, AtLine>,
    ) -> Result<Option<T>, HostError> {
        let path = self.root.join(name);
        let text = optional(&path)?;
        let parsed = text.as_deref().map(parse).transpose();
        parsed.map_err(|(line, source)| HostError::Line { path, line, source })
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// The text of a file that need not be there.
fn optional(path: &Path) -> Result<Option<String>, HostError> {
    match read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(HostError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Returns the names in a directory; none if it cannot be read or has been removed.
#[expect(
    clippy::disallowed_methods,
    reason = "the one function that lists directories"
)]
fn names(directory: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one function that reads symbolic links"
)]
fn read_link(path: &Path) -> io::Result<PathBuf> {
    std::fs::read_link(path)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one function that reads the host's files"
)]
fn read(path: &Path) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut bytes = vec![0; LONGEST_SYSCTL];
    let mut length = 0;
    loop {
        let room = bytes.get_mut(length..).unwrap_or_default();
        match file.read(room) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if length == bytes.len() {
            bytes.resize(2 * length, 0);
        }
    }
    bytes.truncate(length);
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Size of the buffer for the first read. `ip_local_reserved_ports` answers one `read` only and drops
/// the rest of a list that does not fit; its longest list, every other port, has 190 KiB.
const LONGEST_SYSCTL: usize = 256 << 10;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests use files directly")]
mod tests {
    use std::fs;

    use super::*;
    use crate::system::SocketQueries;

    /// A directory whose sysctls hold the given texts.
    #[expect(clippy::disallowed_methods, reason = "a fixture on disk")]
    fn host(range: Option<&str>, reserved: Option<&str>) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().expect("a directory");
        let sysctls = root.path().join("proc/sys/net/ipv4");
        fs::create_dir_all(&sysctls).expect("a directory");
        for (name, text) in [
            ("ip_local_port_range", range),
            ("ip_local_reserved_ports", reserved),
        ] {
            if let Some(text) = text {
                fs::write(sysctls.join(name), text).expect("a file");
            }
        }
        let host = Host::at(root.path());
        (root, host)
    }

    #[test]
    fn the_kernels_files_are_understood() {
        let (_root, host) = host(Some("32768\t60999\n"), Some("8080,9000-9010\n"));
        assert_eq!(
            host.ephemeral_range().expect("a range"),
            "32768-60999".parse().ok()
        );
        assert_eq!(
            host.reserved_ports().expect("ports").to_string(),
            "8080,9000-9010"
        );
    }

    #[test]
    fn an_empty_list_and_missing_files_say_nothing() {
        let (_root, with_empty_list) = host(None, Some("\n"));
        assert!(with_empty_list.reserved_ports().expect("ports").is_empty());
        let (_root, bare) = host(None, None);
        assert_eq!(bare.ephemeral_range().expect("no range"), None);
        assert!(bare.reserved_ports().expect("no ports").is_empty());
    }

    #[test]
    fn a_file_with_something_else_is_named() {
        for text in ["", "32768", "60999\t32768", "1\t2\t3", "a\tb"] {
            let (_root, host) = host(Some(text), Some("http"));
            let error = host.ephemeral_range().expect_err(text);
            assert!(
                error
                    .to_string()
                    .contains("proc/sys/net/ipv4/ip_local_port_range"),
                "{error}"
            );
            assert!(matches!(
                host.reserved_ports(),
                Err(HostError::Malformed { .. })
            ));
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_of_its_own() {
        let (root, host) = host(None, None);
        // A directory in its place fails for every user, root included.
        fs::create_dir(root.path().join("proc/sys/net/ipv4/ip_local_port_range"))
            .expect("a directory");
        assert!(matches!(
            host.ephemeral_range(),
            Err(HostError::Unreadable { .. })
        ));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "sockets of another program")]
    fn the_kernel_lists_a_port_as_long_as_it_is_bound() {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("free");
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("free");
        let ends = [
            (Protocol::Udp, udp.local_addr().expect("bound")),
            (Protocol::Tcp, tcp.local_addr().expect("bound")),
        ];
        let is_bound =
            |(protocol, address)| Host::new().is_bound(protocol, address).expect("listed");
        let queries = SocketQueries::open();
        let is_listed = |(protocol, address)| queries.is_bound(protocol, address).expect("listed");
        assert_eq!(ends.map(is_bound), [Some(true), Some(true)]);
        assert_eq!(ends.map(is_listed), [true, true]);
        drop((udp, tcp));
        assert_eq!(ends.map(is_bound), [Some(false), Some(false)]);
        assert_eq!(ends.map(is_listed), [false, false]);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a fixture on disk")]
    fn a_recorded_port_is_bound_if_its_table_lists_it() {
        let (root, host) = host(None, None);
        let at = |address: &str| address.parse().expect("an address");
        let is_bound = |protocol, address| host.is_bound(protocol, at(address)).expect("tables");
        assert_eq!(is_bound(Protocol::Udp, "127.0.0.1:69"), None);
        let net = root.path().join("proc/net");
        fs::create_dir_all(&net).expect("a directory");
        let entry = "header\n 0: 0100007F:0045 00000000:0000 07 0:0 0:0 0 0 0 7 1 0\n";
        for table in ["udp", "tcp"] {
            fs::write(net.join(table), entry).expect("a file");
        }
        assert_eq!(is_bound(Protocol::Udp, "0.0.0.0:69"), Some(true));
        assert_eq!(is_bound(Protocol::Udp, "0.0.0.0:70"), Some(false));
        assert_eq!(
            is_bound(Protocol::Tcp, "0.0.0.0:69"),
            Some(false),
            "it does not listen"
        );
    }
}
