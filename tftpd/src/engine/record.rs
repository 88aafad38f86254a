//! Records of ended transfers and rejected requests.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use crate::proto::{Direction, ErrorCode, Outcome, Stage, Terms};

/// An ended transfer, or a rejected request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// The client.
    pub client: SocketAddr,
    /// The address of the request, with the leased port; a rejection is sent from the listening
    /// port.
    pub local: SocketAddr,
    /// Read or write.
    pub direction: Direction,
    /// The name as the client sent it.
    pub path: Box<[u8]>,
    /// The name below the root by the rules, if it differs.
    pub file: Option<Box<[u8]>>,
    /// Bytes in the file, if it was opened.
    pub size: Option<u64>,
    /// Time from the request to the end.
    pub elapsed: Duration,
    /// The negotiated terms.
    pub terms: Terms,
    /// Packets that were retransmitted.
    pub resent: u32,
    /// The end.
    pub ending: Ending,
}

/// The end of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ending {
    /// The whole file was sent.
    Sent {
        /// True if the client's last acknowledgement was received. Without it the file has most
        /// likely arrived too: clients close their port right after sending it.
        confirmed: bool,
    },
    /// The whole file was received and stored.
    Received,
    /// The client asked for the size or the options only, and ended the transfer.
    Probed,
    /// No transfer was started.
    Rejected(Rejection),
    /// The transfer failed.
    Failed(Cause),
}

/// The reason why no transfer was started: a fixed set, fit for a label.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Rejection {
    /// The file does not exist.
    NotFound,
    /// The file does not exist, and a rule keeps that out of the log.
    QuietlyNotFound,
    /// The access lists exclude the client's network.
    DeniedByAcl,
    /// A rule denies it.
    DeniedByRule,
    /// The file may not be read.
    Permission,
    /// The name is that of a directory, a device, a pipe or a socket.
    NotAFile,
    /// The name is not valid for a file.
    BadName,
    /// Writing is not allowed.
    ReadOnly,
    /// A file of that name exists and is kept.
    Exists,
    /// The file is larger than the free space of the disk.
    DiskFull,
    /// The file is larger than allowed.
    TooLarge,
    /// The transfer mode is not supported.
    Mode,
    /// The packet is malformed.
    Malformed,
    /// No port is free. The client gets no answer and repeats its request.
    NoPort,
    /// The limit of transfers is reached and the wait was too long. The client repeats its request.
    Overload,
    /// The limit of the client, or of its prefix, is reached. The client gets no answer.
    TooMany,
    /// Out of descriptors or memory. The client gets no answer and repeats its request.
    Busy,
    /// The system failed to open the file or to make a socket.
    Io,
}

impl Rejection {
    /// Returns a short name for logs and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotFound | Self::QuietlyNotFound => "not-found",
            Self::DeniedByAcl => "denied-by-acl",
            Self::DeniedByRule => "denied-by-rule",
            Self::Permission => "permission",
            Self::NotAFile => "not-a-file",
            Self::BadName => "bad-name",
            Self::ReadOnly => "read-only",
            Self::Exists => "exists",
            Self::DiskFull => "disk-full",
            Self::TooLarge => "upload-too-large",
            Self::Mode => "mode",
            Self::Malformed => "malformed",
            Self::NoPort => "no-port",
            Self::Overload => "overload",
            Self::TooMany => "too-many",
            Self::Busy => "busy",
            Self::Io => "io",
        }
    }

    /// Returns a hint for the operator. `None` where the label is enough: firmware asks for many files
    /// that do not exist.
    pub const fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::DeniedByAcl => "the lists of networks exclude this client",
            Self::DeniedByRule => "a rule of the map file denies this name",
            Self::Permission => "this user may not read the file",
            Self::NotAFile => "only regular files are served",
            Self::ReadOnly => "the server is read-only",
            Self::Exists => "a file of this name is kept",
            Self::DiskFull => "make room where uploads go",
            Self::TooLarge => "the upload is larger than the limit",
            Self::NoPort => "all transfer ports are in use; the client asks again; give more ports",
            Self::Overload => "the limit of transfers is reached; the client asks again",
            Self::TooMany => "this client has reached its limit of transfers",
            Self::Busy => "out of descriptors or memory; the client asks again; see ulimit -n",
            _ => return None,
        })
    }
}

/// The cause of a failed transfer: a fixed set, fit for a label.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// The client never answered the first reply.
    NoAck,
    /// The client stopped answering.
    Silence,
    /// The client's host reports that its port is closed.
    ClientGone,
    /// The client ended it with an ERROR.
    ClientError {
        /// Its code.
        code: ErrorCode,
        /// Its text.
        text: Box<[u8]>,
    },
    /// A new request from the same port replaced it: the client has started over.
    Replaced,
    /// It was the oldest half-open transfer when the limit was reached.
    Evicted,
    /// This host's own firewall blocks the datagrams.
    LocalFirewall,
    /// The file that the client wrote could not be stored.
    Store {
        /// The code sent to the client.
        code: ErrorCode,
        /// The error of the system.
        why: String,
    },
    /// The client wrote more than the limit.
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The file could not be read, or the socket not be written.
    Io(String),
    /// The server was stopped.
    Shutdown,
}

impl Cause {
    /// Returns a short name for logs and metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NoAck => "no-ack",
            Self::Silence => "silence",
            Self::ClientGone => "client-gone",
            Self::ClientError { .. } => "client-error",
            Self::Replaced => "replaced",
            Self::Evicted => "evicted",
            Self::LocalFirewall => "local-firewall",
            Self::Store {
                code: ErrorCode::DiskFull,
                ..
            } => "disk-full",
            Self::Store {
                code: ErrorCode::FileExists,
                ..
            } => "exists",
            Self::Store { .. } => "store",
            Self::TooLarge { .. } => "upload-too-large",
            Self::Io(_) => "io",
            Self::Shutdown => "shutdown",
        }
    }

    /// Returns a hint for the operator: the most likely reason, or a remedy.
    pub const fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoAck => {
                "the client never answered this port; a firewall or NAT between may let only the listening port through"
            }
            Self::Silence => "the client was switched off, or the path to it is broken",
            Self::ClientGone => "the client's port is closed: it has left or started over",
            Self::Replaced => "the client has started over",
            Self::Evicted => "many clients that never answer; their addresses may be forged",
            Self::LocalFirewall => {
                "a rule for outgoing packets on this host blocks the transfer port"
            }
            Self::Store {
                code: ErrorCode::DiskFull,
                ..
            } => "make room where uploads go",
            Self::Store {
                code: ErrorCode::FileExists,
                ..
            } => "another upload took this name first",
            Self::TooLarge { .. } => "the upload is larger than the limit",
            Self::Shutdown => "the client asks again",
            Self::ClientError { .. } | Self::Store { .. } | Self::Io(_) => return None,
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())?;
        match self {
            Self::ClientError { code, text } => {
                write!(f, " {}: {}", code.to_wire(), text.escape_ascii())
            }
            Self::Store { why, .. } | Self::Io(why) => write!(f, ": {why}"),
            Self::TooLarge { limit } => write!(f, ": more than {limit} bytes"),
            _ => Ok(()),
        }
    }
}

impl Ending {
    pub(crate) fn from_outcome(outcome: &Outcome, direction: Direction) -> Self {
        Self::Failed(match outcome {
            Outcome::Completed { .. } if direction == Direction::Write => return Self::Received,
            Outcome::Completed { last_ack } => {
                return Self::Sent {
                    confirmed: *last_ack,
                };
            }
            Outcome::Probed => return Self::Probed,
            Outcome::PeerError { code, text } => Cause::ClientError {
                code: *code,
                text: text.clone(),
            },
            Outcome::TimedOut(Stage::FirstReply) => Cause::NoAck,
            Outcome::TimedOut(Stage::Data) => Cause::Silence,
            Outcome::Unreachable(_) => Cause::ClientGone,
            Outcome::Aborted(_) => Cause::Shutdown,
            Outcome::Violation(what) => Cause::Io((*what).to_owned()),
        })
    }
}

/// Numbers of requests by their end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Whole files sent.
    pub sent: u64,
    /// Whole files received.
    pub received: u64,
    /// Requests for the size or the options only.
    pub probed: u64,
    /// Requests that were rejected.
    pub rejected: u64,
    /// Transfers that failed.
    pub failed: u64,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, more: Self) {
        self.sent += more.sent;
        self.received += more.received;
        self.probed += more.probed;
        self.rejected += more.rejected;
        self.failed += more.failed;
    }
}

impl Summary {
    pub(crate) fn count(&mut self, ending: &Ending) {
        match ending {
            Ending::Sent { .. } => self.sent += 1,
            Ending::Received => self.received += 1,
            Ending::Probed => self.probed += 1,
            Ending::Rejected(_) => self.rejected += 1,
            Ending::Failed(_) => self.failed += 1,
        }
    }
}

/// A receiver of records.
pub(crate) type Observer = Arc<dyn Fn(&Record) + Send + Sync>;

/// Counts records and passes them to the observer.
pub(crate) struct Recorder {
    observer: Observer,
    summary: Summary,
}

impl Recorder {
    pub(crate) fn new(observer: Observer) -> Self {
        Self {
            observer,
            summary: Summary::default(),
        }
    }

    pub(crate) fn record(&mut self, record: &Record) {
        self.summary.count(&record.ending);
        (self.observer)(record);
    }

    pub(crate) fn summary(&self) -> Summary {
        self.summary
    }
}
