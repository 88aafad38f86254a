//! Errors of transfers.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use eport_core::{LeaseError, program::Printable};

use crate::{
    net::Why,
    proto::{Blksize, ErrorCode, OackError},
};

/// The reason why a file was not transferred, by its remedy.
///
/// The texts state the cause; remedies, such as an option of a program, are the caller's, who can
/// match on the variant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The server sent an ERROR, in answer to the request or later.
    #[error("the server answered: error {}", Words(*code, text))]
    Refused {
        /// Its code.
        code: ErrorCode,
        /// Its text, escaped.
        text: String,
    },
    /// The server's name cannot be resolved.
    #[error("the server's name has no address")]
    NoSuchHost(#[source] io::Error),
    /// The server's host sent ICMP port unreachable.
    #[error("nothing listens on {0}")]
    NothingListens(SocketAddr),
    /// A firewall rejected the request.
    #[error("{server} cannot be reached: {} rejects the request", Firewall(*by))]
    Rejected {
        /// The address of the request.
        server: SocketAddr,
        /// The address of the firewall; `None` for this machine.
        by: Option<IpAddr>,
    },
    /// There is no route to the server, or its host is down.
    #[error("{server} cannot be reached")]
    Unreachable {
        /// The address of the request.
        server: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// No answer arrived.
    #[error("no answer from {server} within {} s", waited.as_secs_f32())]
    NoAnswer {
        /// The address of the request.
        server: SocketAddr,
        /// The time waited.
        waited: Duration,
    },
    /// An answer came from another address than the request was sent to.
    #[error(
        "the request to {asked} was answered by {answered}: the server has several addresses, or NAT changes them"
    )]
    OtherAddress {
        /// The address of the request.
        asked: SocketAddr,
        /// The source address of the answer.
        answered: SocketAddr,
    },
    /// The server accepted the options, and then no block arrived.
    #[error("the server accepted blocks of {} bytes, but none arrived", blksize.bytes())]
    NoBlock {
        /// The negotiated block size.
        blksize: Blksize,
    },
    /// Packets of this side do not arrive: the server repeats its own.
    #[error(
        "the server repeats its packets after {transferred} bytes: packets to its port are lost"
    )]
    OneWay {
        /// Bytes transferred before.
        transferred: u64,
    },
    /// The server stopped answering during the transfer.
    #[error("the server stopped answering after {transferred} bytes")]
    Silence {
        /// Bytes transferred before.
        transferred: u64,
    },
    /// The server closed its port during the transfer.
    #[error("the server closed its port after {transferred} bytes")]
    Gone {
        /// Bytes transferred before.
        transferred: u64,
    },
    /// All blocks were sent, and the last was never acknowledged: the server may have the file or
    /// not.
    #[error("the server never confirmed the last of {sent} bytes: it may have the file or not")]
    Unconfirmed {
        /// Bytes of the file.
        sent: u64,
    },
    /// The options in the server's OACK are invalid.
    #[error("the server's options cannot be used")]
    Options(#[from] OackError),
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Protocol(&'static str),
    /// The length of the file differs from the announced size.
    #[error("the file has {found} bytes, but {announced} were announced")]
    Size {
        /// The announced size in bytes.
        announced: u64,
        /// The real size in bytes.
        found: u64,
    },
    /// The name is empty or contains a NUL.
    #[error("the file name is empty or contains a NUL byte")]
    Name,
    /// No local port could be leased.
    #[error("no local port")]
    NoPort(#[source] LeaseError),
    /// The socket failed.
    #[error("the local socket failed")]
    Socket(#[source] io::Error),
    /// The sink failed.
    #[error("the received file cannot be written")]
    Sink(#[source] io::Error),
    /// The source failed.
    #[error("the file to be sent cannot be read")]
    Source(#[source] io::Error),
}

impl TransferError {
    pub(super) fn refused(code: ErrorCode, text: &[u8]) -> Self {
        let text = printable(code, text);
        Self::Refused { code, text }
    }

    /// Returns the error for an ICMP report about a packet to `server`; `None` if the transfer can
    /// go on.
    pub(super) fn lost(server: SocketAddr, why: Why) -> Option<Self> {
        Some(match why {
            Why::PortClosed => Self::NothingListens(server),
            Why::Rejected(by) => Self::Rejected { server, by },
            Why::Unreachable(source) => Self::Unreachable { server, source },
            Why::TooLarge => return None,
        })
    }

    /// Returns the error for a packet to `server` that this host did not send.
    pub(super) fn not_sent(server: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::ConnectionRefused => Self::NothingListens(server),
            io::ErrorKind::PermissionDenied => Self::Rejected { server, by: None },
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            // The kernel's error for an IPv6 address where IPv6 is off.
            | io::ErrorKind::AddrNotAvailable => Self::Unreachable { server, source },
            _ => Self::Socket(source),
        }
    }

    /// Returns true if the server has no such file.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(ErrorCode::FileNotFound)
    }

    /// Returns true if the server denies access to the file.
    pub fn is_denied(&self) -> bool {
        match self {
            // tftp-hpa sends code 0 with this text.
            Self::Refused {
                code: ErrorCode::NotDefined,
                text,
            } => text == "Permission denied",
            _ => self.code() == Some(ErrorCode::AccessViolation),
        }
    }

    /// Returns true if the server has the file already and keeps it.
    pub fn is_exists(&self) -> bool {
        self.code() == Some(ErrorCode::FileExists)
    }

    /// Returns true if the server's disk is full.
    pub fn is_disk_full(&self) -> bool {
        self.code() == Some(ErrorCode::DiskFull)
    }

    /// Returns true if this address of the server cannot be reached: another one may answer.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::NothingListens(_) | Self::Rejected { .. } | Self::Unreachable { .. }
        )
    }

    /// Returns the code of the server's ERROR; `None` for other errors.
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// Returns the server's text, escaped; the RFC's wording if it is empty.
pub(super) fn printable(code: ErrorCode, text: &[u8]) -> String {
    if text.is_empty() {
        code.text().into()
    } else {
        Printable(text).to_string()
    }
}

/// The code and text of an ERROR, without the text if it repeats the code.
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
            r"the server answered: error 0 (not defined): \x1b[2Jgone"
        );
        let silent = TransferError::refused(ErrorCode::FileNotFound, b"");
        assert_eq!(
            silent.to_string(),
            "the server answered: error 1 (File not found)"
        );
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
