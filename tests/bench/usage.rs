//! Processor time and memory of a server, over all its processes.

use std::path::Path;
use std::time::Duration;

use nix::time::ClockId;
use nix::unistd::Pid;

/// The processes of a server: the one that was started, and its children.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group(pub(crate) u32);

/// Bytes in use.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// The processes' PSS: shared pages count in part.
    pub(crate) user: u64,
    /// The kernel's memory for sockets, of the whole machine.
    pub(crate) kernel: u64,
}

impl Memory {
    /// The increase since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            kernel: self.kernel.saturating_sub(before.kernel),
        }
    }
}

impl Group {
    /// Processor time so far. Threads count to the nanosecond, running or ended;
    /// processes that have ended count in ticks of 10 ms.
    pub(crate) fn cpu(self) -> Duration {
        let time = |stat: Stat| {
            let clock = ClockId::pid_cpu_clock_id(stat.id).and_then(ClockId::now);
            clock.map(Duration::from).unwrap_or_default() + stat.children
        };
        self.processes().map(time).sum()
    }

    /// Memory in use now.
    pub(crate) fn memory(self) -> Memory {
        let pss = |stat: Stat| {
            let rollup = proc_file(format!("{}/smaps_rollup", stat.id));
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
            line.and_then(|line| number(line, 0)).unwrap_or(0) * 1024
        };
        Memory {
            user: self.processes().map(pss).sum(),
            kernel: sockets(&proc_file("slabinfo")),
        }
    }

    fn processes(self) -> impl Iterator<Item = Stat> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        ids.filter_map(|id| Stat::read(&proc_file(format!("{id}/stat"))))
            .filter(move |stat| stat.group == self.0)
    }
}

/// The fields of `/proc/ID/stat`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stat {
    id: Pid,
    group: u32,
    /// Processor time of children that have ended.
    children: Duration,
}

impl Stat {
    fn read(text: &str) -> Option<Self> {
        // The name can contain any character; the last parenthesis ends it.
        let (id, _) = text.split_once(' ')?;
        let (_, fields) = text.rsplit_once(") ")?;
        let ticks = number(fields, 13)? + number(fields, 14)?;
        Some(Self {
            id: Pid::from_raw(id.parse().ok()?),
            group: u32::try_from(number(fields, 2)?).ok()?,
            children: Duration::from_millis(ticks * 10),
        })
    }
}

/// The kernel's caches for a socket, a file and its entry in an epoll.
const CACHES: [&str; 6] = [
    "UDP",
    "UDPv6",
    "sock_inode_cache",
    "filp",
    "eventpoll_epi",
    "eventpoll_pwq",
];

/// Sums the bytes in these caches: `name active_objects all_objects object_size …`.
fn sockets(slabinfo: &str) -> u64 {
    let bytes = |line: &str| {
        let name = line.split_whitespace().next()?;
        let known = CACHES.contains(&name);
        known.then_some(number(line, 1)? * number(line, 3)?)
    };
    slabinfo.lines().filter_map(bytes).sum()
}

fn number(line: &str, field: usize) -> Option<u64> {
    line.split_whitespace().nth(field)?.parse().ok()
}

/// Reads a file of `/proc`; empty if its process has ended.
#[expect(
    clippy::disallowed_methods,
    reason = "reads files that may vanish at any time"
)]
fn proc_file(name: impl AsRef<Path>) -> String {
    std::fs::read_to_string(Path::new("/proc").join(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_parentheses_in_its_name_is_read() {
        let line = "42 (a) b (c) S 1 40 40 0 -1 4194304 9 9 0 0 120 30 5 2 20 0 2 0 99";
        let expected = Stat {
            id: Pid::from_raw(42),
            group: 40,
            children: Duration::from_millis(70),
        };
        assert_eq!(Stat::read(line), Some(expected));
        assert_eq!(Stat::read(""), None);
    }

    #[test]
    fn only_the_caches_of_sockets_count() {
        let text = "# name <active_objs>\nUDP 10 24 1344 12 4 : x\nfilp 2 42 192\nUDPLITE 9 9 9\n";
        assert_eq!(sockets(text), 13_440 + 384);
    }
}
