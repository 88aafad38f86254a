//! Network namespaces that are removed when their value is dropped.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddrV6};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use crate::host;
use crate::peers;
use crate::process::Process;

/// Limit for a single `ip` command.
const PATIENCE: Duration = Duration::from_secs(20);

/// A network namespace of its own, with the loopback interface up.
///
/// It has no name and no file: a process holds it that ends with its standard input. Thus the kernel
/// removes the namespace when this value is dropped, and also when the test is killed. Programs inside
/// are killed when the thread that started them ends.
#[derive(Debug)]
pub struct Netns {
    holder: Child,
}

impl Netns {
    /// Creates a namespace.
    ///
    /// # Panics
    /// If the caller is not root, or `unshare` of util-linux is missing.
    #[track_caller]
    pub fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("util-linux has unshare");
        // The echo of `cat` shows that the namespace exists.
        let mut echo = [0];
        let input = holder.stdin.as_mut().expect("the input is piped");
        input.write_all(b"!").expect("cat reads");
        let output = holder.stdout.as_mut().expect("the output is piped");
        output
            .read_exact(&mut echo)
            .expect("a network namespace needs root");
        let namespace = Self { holder };
        namespace.ip("link set lo up");
        namespace
    }

    /// Returns a command that runs inside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display()));
        command
            .args(["--", "setpriv", "--pdeathsig", "KILL", "--"])
            .arg(program);
        command
    }

    /// Runs `ip` with these arguments inside.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn ip(&self, arguments: &str) {
        self.show(arguments);
    }

    /// Runs `ip` with these arguments inside and returns its output.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn show(&self, arguments: &str) -> String {
        Process::run(
            self.command("ip").args(arguments.split_whitespace()),
            PATIENCE,
        )
    }

    /// Sets a sysctl that is separate for each namespace, such as
    /// `net.ipv4.ip_unprivileged_port_start`.
    ///
    /// # Panics
    /// If there is no such variable.
    #[track_caller]
    pub fn sysctl(&self, name: &str, value: &str) {
        let path = PathBuf::from(format!("/proc/sys/{}", name.replace('.', "/")));
        self.enter(|| host::write(&path, value));
    }

    /// Replaces the firewall inside by this single rule, in the syntax of `nft`, for packets that come
    /// `in` or go `out`.
    ///
    /// # Panics
    /// If `nft` rejects it.
    #[track_caller]
    pub fn firewall(&self, way: &str, rule: &str) {
        self.nft(&format!(
            "flush ruleset; add table inet wall; \
             add chain inet wall rules {{ type filter hook {way}put priority 0; }}; \
             add rule inet wall rules {rule}"
        ));
    }

    /// Removes all firewall rules.
    ///
    /// # Panics
    /// If `nft` fails.
    #[track_caller]
    pub fn no_firewall(&self) {
        self.nft("flush ruleset");
    }

    #[track_caller]
    fn nft(&self, commands: &str) {
        Process::run(self.command(peers::path("nft")).arg(commands), PATIENCE);
    }

    /// Returns the link-local address of an interface, with its scope. Duplicate address detection of
    /// the kernel takes one to two seconds.
    ///
    /// # Panics
    /// If there is no such interface, or the address does not become usable.
    #[track_caller]
    pub fn link_local(&self, interface: &str) -> SocketAddrV6 {
        let show = || {
            self.show(&format!(
                "-6 -oneline address show dev {interface} scope link"
            ))
        };
        let usable = || !show().contains("tentative");
        assert!(
            host::wait_until(PATIENCE, usable),
            "the address of {interface} does not become usable"
        );
        let shown = show();
        let mut words = shown.split_whitespace();
        let index = words
            .next()
            .and_then(|word| word.strip_suffix(':')?.parse().ok());
        let address = words
            .find_map(|word| word.split_once('/'))
            .and_then(|(address, _)| address.parse().ok());
        let (Some(index), Some(address)) = (index, address) else {
            panic!("{interface} has no link-local address: {shown}")
        };
        SocketAddrV6::new(address, 0, 0, index)
    }

    /// Assigns an address to an interface, without duplicate address detection: it is usable immediately.
    ///
    /// # Panics
    /// If there is no such interface.
    #[track_caller]
    pub fn address(&self, interface: &str, address: IpAddr, prefix: u8) {
        let unchecked = if address.is_ipv6() { " nodad" } else { "" };
        self.ip(&format!(
            "address add {address}/{prefix} dev {interface}{unchecked}"
        ));
    }

    /// Creates a veth pair to another namespace; both ends are named `interface` and are up.
    ///
    /// # Panics
    /// If one of them has such an interface already, or does not become ready.
    #[track_caller]
    pub fn cable(&self, other: &Self, interface: &str) {
        let there = other.holder.id();
        self.ip(&format!(
            "link add {interface} type veth peer name {interface} netns {there}"
        ));
        self.ip(&format!("link set {interface} up"));
        other.ip(&format!("link set {interface} up"));
        for end in [self, other] {
            // The kernel takes up to a second to detect the carrier; IPv6 waits for it.
            let ready = || {
                end.show(&format!("link show dev {interface}"))
                    .contains("state UP")
            };
            assert!(
                host::wait_until(PATIENCE, ready),
                "{interface} does not become ready"
            );
        }
    }

    /// Creates a bridge with a tap for a virtual machine, both up.
    ///
    /// # Panics
    /// If an interface of that name exists, or the kernel has no taps.
    #[track_caller]
    pub fn bridge_with_tap(&self, bridge: &str, tap: &str) {
        self.ip(&format!("link add {bridge} type bridge"));
        self.ip(&format!("tuntap add dev {tap} mode tap"));
        self.ip(&format!("link set {tap} master {bridge}"));
        self.ip(&format!("link set {tap} up"));
        self.ip(&format!("link set {bridge} up"));
    }

    /// Runs a function inside, on a thread of its own; the sockets it opens stay in the namespace.
    ///
    /// # Panics
    /// When the function does, with its message.
    pub fn enter<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        let path = self.path();
        let outcome = thread::scope(|scope| {
            let entered = scope.spawn(|| {
                setns(host::open(&path), CloneFlags::CLONE_NEWNET)
                    .expect("entering a namespace needs root");
                inside()
            });
            entered.join()
        });
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The local UDP ports in use inside, as the kernel lists them (IPv4 and IPv6 together).
    pub fn udp_ports(&self) -> Vec<u16> {
        let tables = ["udp", "udp6"].map(|table| format!("/proc/{}/net/{table}", self.holder.id()));
        let text = tables.map(|table| host::read_text(table.as_ref())).concat();
        text.lines().filter_map(local_port).collect()
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.holder.id()))
    }
}

impl Default for Netns {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        drop(self.holder.wait());
    }
}

/// The local port in a line of `/proc/net/udp`: `  42: 0100007F:0045 00000000:0000 07 …`.
fn local_port(line: &str) -> Option<u16> {
    let (_, port) = line.split_whitespace().nth(1)?.rsplit_once(':')?;
    u16::from_str_radix(port, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_port_is_read_from_a_line_of_either_family() {
        assert_eq!(
            local_port("  42: 0100007F:0045 00000000:0000 07 00000000:00000000"),
            Some(69)
        );
        assert_eq!(
            local_port("   7: 00000000000000000000000000000000:F000 0000 07"),
            Some(0xf000)
        );
        assert_eq!(
            local_port("   sl  local_address rem_address   st tx_queue rx_queue"),
            None
        );
    }

    #[test]
    fn a_namespace_is_empty_and_goes_with_its_value() {
        if !peers::available(&["ip"]) {
            return;
        }
        let namespace = Netns::new();
        let links = namespace.show("-oneline link");
        assert_eq!(
            links.lines().count(),
            1,
            "only the loopback interface: {links}"
        );
        assert!(namespace.udp_ports().is_empty());
        let path = namespace.path();
        drop(namespace);
        assert!(!path.exists());
    }
}
