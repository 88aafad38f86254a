//! Why a transfer failed.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use eport_core::LeaseError;

use crate::{
    net::Why,
    proto::{Blksize, ErrorCode, OackError},
};

/// Why a file was not transferred, in terms of what can be done about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The server refused, or gave up on the way.
    #[error("the server says: {}", Words(*code, text))]
    Refused {
        /// Its code.
        code: ErrorCode,
        /// Its words, made printable.
        text: String,
    },
    /// The name of the server leads to no address.
    #[error("the server's name leads to no address")]
    NoSuchHost(#[source] io::Error),
    /// The server's host answers that nothing listens on that port.
    #[error("nothing listens on {0}")]
    NothingListens(SocketAddr),
    /// A firewall says that it does not let the request through.
    #[error("{server} cannot be reached: {} rejects the request", Firewall(*by))]
    Rejected {
        /// Where the request went.
        server: SocketAddr,
        /// Who says so; `None` means this machine.
        by: Option<IpAddr>,
    },
    /// There is no way to the server, or its host is down.
    #[error("{server} cannot be reached")]
    Unreachable {
        /// Where the request went.
        server: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// There was no answer at all.
    #[error("no answer from {server} within {} s", waited.as_secs_f32())]
    NoAnswer {
        /// Where the request went.
        server: SocketAddr,
        /// For how long.
        waited: Duration,
    },
    /// An answer came, but from an address that was not asked.
    #[error(
        "{asked} was asked but {answered} answered: the server has several addresses, or NAT stands between"
    )]
    OtherAddress {
        /// Where the request went.
        asked: SocketAddr,
        /// Where the answer came from.
        answered: SocketAddr,
    },
    /// The server agreed to the options, and then no block got through.
    #[error("the server agreed to blocks of {} bytes, but none got through", blksize.bytes())]
    NoBlock {
        /// What had been agreed.
        blksize: Blksize,
    },
    /// What is sent to the server does not reach it: it repeats itself.
    #[error(
        "the server repeats itself after {transferred} bytes: what is sent to its port is lost on the way"
    )]
    OneWay {
        /// Bytes that had got through.
        transferred: u64,
    },
    /// The server fell silent on the way.
    #[error("the server fell silent after {transferred} bytes")]
    Silence {
        /// Bytes that had got through.
        transferred: u64,
    },
    /// The server went away on the way: its port is closed.
    #[error("the server went away after {transferred} bytes")]
    Gone {
        /// Bytes that had got through.
        transferred: u64,
    },
    /// All blocks were sent, and the last was never acknowledged: the file may be there or not.
    #[error("the server never confirmed the last of {sent} bytes: the file may be there or not")]
    Unconfirmed {
        /// Bytes of the file.
        sent: u64,
    },
    /// The options in the server's answer are none that may be used.
    #[error("the server's answer cannot be used")]
    Options(#[from] OackError),
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Protocol(&'static str),
    /// The file is not as long as the side that has it had announced.
    #[error("{announced} bytes were announced and there are {found}")]
    Size {
        /// What was announced.
        announced: u64,
        /// What there is.
        found: u64,
    },
    /// The name is empty or holds a NUL.
    #[error("the file name is empty or holds a NUL byte")]
    Name,
    /// No local port could be had.
    #[error("no local port")]
    NoPort(#[source] LeaseError),
    /// The socket failed.
    #[error("the local socket failed")]
    Socket(#[source] io::Error),
    /// What was fetched could not be stored.
    #[error("the file cannot be stored")]
    Sink(#[source] io::Error),
    /// What was to be sent could not be read.
    #[error("the file cannot be read")]
    Source(#[source] io::Error),
}

impl TransferError {
    pub(super) fn refused(code: ErrorCode, text: &[u8]) -> Self {
        let text = printable(code, text);
        Self::Refused { code, text }
    }

    /// What it means that a packet to `server` did not arrive; `None` if it means nothing.
    pub(super) fn lost(server: SocketAddr, why: Why) -> Option<Self> {
        Some(match why {
            Why::PortClosed => Self::NothingListens(server),
            Why::Rejected(by) => Self::Rejected { server, by },
            Why::Unreachable(source) => Self::Unreachable { server, source },
            Why::TooLarge => return None,
        })
    }

    /// What it means that this host did not let a packet to `server` out.
    pub(super) fn not_sent(server: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::ConnectionRefused => Self::NothingListens(server),
            io::ErrorKind::PermissionDenied => Self::Rejected { server, by: None },
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            // What the kernel says of an IPv6 address where IPv6 is off.
            | io::ErrorKind::AddrNotAvailable => Self::Unreachable { server, source },
            _ => Self::Socket(source),
        }
    }

    /// Whether the server says that there is no such file.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(ErrorCode::FileNotFound)
    }

    /// Whether the server says that the file may not be read or written.
    pub fn is_denied(&self) -> bool {
        match self {
            // tftp-hpa has no code for it, only words.
            Self::Refused {
                code: ErrorCode::NotDefined,
                text,
            } => text == "Permission denied",
            _ => self.code() == Some(ErrorCode::AccessViolation),
        }
    }

    /// Whether the server says that it has the file already and keeps it.
    pub fn is_exists(&self) -> bool {
        self.code() == Some(ErrorCode::FileExists)
    }

    /// Whether the server says that it has no room.
    pub fn is_disk_full(&self) -> bool {
        self.code() == Some(ErrorCode::DiskFull)
    }

    /// Whether nobody answered at all, or only to say that nobody will: another address of the
    /// same server may do better.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::NothingListens(_) | Self::Rejected { .. } | Self::Unreachable { .. }
        )
    }

    /// The code of the server's refusal, if it is one.
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// A server's words; the RFC's where it has none.
pub(super) fn printable(code: ErrorCode, text: &[u8]) -> String {
    if text.is_empty() {
        code.text().into()
    } else {
        text.escape_ascii().to_string()
    }
}

/// A refusal without saying twice what the code says already.
struct Words<'a>(ErrorCode, &'a str);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(code, text) = self;
        if text.eq_ignore_ascii_case(code.text()) {
            write!(f, "{code}")
        } else {
            write!(f, "{code}: {text}")
        }
    }
}

struct Firewall(Option<IpAddr>);

impl fmt::Display for Firewall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(by) => write!(f, "a firewall at {by}"),
            None => f.write_str("this machine's own firewall"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_refusal_decides_what_it_means() {
        let refused = |code| TransferError::refused(code, b"words");
        assert!(refused(ErrorCode::FileNotFound).is_not_found());
        assert!(refused(ErrorCode::AccessViolation).is_denied());
        assert!(refused(ErrorCode::FileExists).is_exists());
        assert!(refused(ErrorCode::DiskFull).is_disk_full());
        assert!(!refused(ErrorCode::NotDefined).is_denied());
        assert!(TransferError::refused(ErrorCode::NotDefined, b"Permission denied").is_denied());
    }

    #[test]
    fn a_server_cannot_write_control_characters_to_the_terminal() {
        let error = TransferError::refused(ErrorCode::NotDefined, b"\x1b[2Jgone");
        assert_eq!(
            error.to_string(),
            r"the server says: 0 (not defined): \x1b[2Jgone"
        );
        let silent = TransferError::refused(ErrorCode::FileNotFound, b"");
        assert_eq!(silent.to_string(), "the server says: 1 (File not found)");
    }

    #[test]
    fn a_firewall_is_named_if_it_names_itself() {
        let server = "192.0.2.1:69".parse().expect("an address");
        let by = Some("192.0.2.254".parse().expect("an address"));
        assert_eq!(
            TransferError::Rejected { server, by }.to_string(),
            "192.0.2.1:69 cannot be reached: a firewall at 192.0.2.254 rejects the request"
        );
        assert_eq!(
            TransferError::Rejected { server, by: None }.to_string(),
            "192.0.2.1:69 cannot be reached: this machine's own firewall rejects the request"
        );
    }
}
