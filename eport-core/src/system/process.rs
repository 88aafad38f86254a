//! The process that holds a socket.

use std::fmt;

/// A process that holds a socket.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name (`comm`), cut to 15 bytes by the kernel; empty if it cannot be read.
    pub command: String,
}

/// Prints `dnsmasq (412)`.
impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = if self.command.is_empty() {
            "process"
        } else {
            &self.command
        };
        write!(f, "{command} ({})", self.pid)
    }
}

/// The inode in what a descriptor refers to, such as `socket:[4711]`.
pub(super) fn socket_inode(target: &str) -> Option<u64> {
    let number = target
        .trim_end()
        .strip_prefix("socket:[")?
        .strip_suffix(']')?;
    number.parse().ok()
}
