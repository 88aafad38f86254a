//! What the kernel says about its own use of ports.

use std::io;
use std::path::{Path, PathBuf};

use crate::range::{ParsePortsError, PortRange};
use crate::set::PortSet;

/// Reads how this machine (or a directory that looks like one) is configured.
///
/// A file that does not exist is not an error: a container may hide `/proc/sys`, and other systems
/// than Linux have none. Then nothing is known, which [`plan`](crate::plan()) takes as "nothing to
/// avoid". A file that exists and cannot be read or understood is an error.
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

    /// A directory that stands for the root of a machine: its sysctls are in `proc/sys`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The ports from which the kernel chooses (`net.ipv4.ip_local_port_range`, which counts for
    /// IPv6 as well); `None` when the system does not say.
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

    /// The ports that the kernel was told not to choose (`net.ipv4.ip_local_reserved_ports`);
    /// empty when the system does not say.
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

    fn sysctl<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, ParsePortsError>,
    ) -> Result<Option<T>, HostError> {
        let path = self.root.join("proc/sys").join(name);
        let text = match read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(HostError::Unreadable { path, source }),
        };
        parse(&text)
            .map(Some)
            .map_err(|source| HostError::Malformed { path, source })
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the host's configuration"
)]
fn read(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}

/// Why the host's configuration is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The file exists and cannot be read.
    #[error("cannot read {path}; grant access to it, or name the ports to use and plan without it", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds something that is not what the kernel writes.
    #[error("{path} does not hold ports as the kernel writes them", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ParsePortsError,
    },
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

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
}
