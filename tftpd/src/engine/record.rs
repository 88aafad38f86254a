//! What is said of a transfer when it is over.

use std::{fmt, net::SocketAddr, time::Duration};

use crate::proto::{Direction, ErrorCode, Outcome, Stage, Terms};

/// One transfer, or one request that became none.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// Who asked.
    pub client: SocketAddr,
    /// Where it was answered from: the address asked, and the leased port. A refusal goes out
    /// from the listening port.
    pub local: SocketAddr,
    /// Read or write.
    pub direction: Direction,
    /// The name as the client sent it.
    pub path: Box<[u8]>,
    /// The name below the root that this means by the rules, if it is another one.
    pub file: Option<Box<[u8]>>,
    /// Bytes in the file, if it was opened.
    pub size: Option<u64>,
    /// From the request to the end.
    pub elapsed: Duration,
    /// What was agreed.
    pub terms: Terms,
    /// Packets that went out more than once.
    pub resent: u32,
    /// How it ended.
    pub ending: Ending,
}

/// How a request ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ending {
    /// The whole file was sent.
    Sent {
        /// Whether the client's last acknowledgement arrived. Without it the file has arrived all
        /// the same, most likely: clients leave at once.
        confirmed: bool,
    },
    /// The whole file was received and stored.
    Received,
    /// The client wanted to know the size or the options, and ended the transfer.
    Probed,
    /// No transfer was started.
    Refused(Refusal),
    /// The transfer broke off.
    Failed(Cause),
}

/// Why no transfer was started: a closed set, fit for a label.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such file.
    NotFound,
    /// There is no such file, and a rule says that this is nothing to report.
    QuietlyNotFound,
    /// The client's network may not do that.
    DeniedByAcl,
    /// A rule denies it.
    DeniedByRule,
    /// The file may not be read.
    Permission,
    /// It is a directory, a device, a pipe or a socket.
    NotAFile,
    /// The name cannot be one of a file.
    BadName,
    /// Writing is not allowed.
    ReadOnly,
    /// There is a file of that name, and it is to stay.
    Exists,
    /// The file is larger than what is left of the disk.
    DiskFull,
    /// The file is larger than allowed.
    TooLarge,
    /// The transfer mode is not served.
    Mode,
    /// The packet is malformed.
    Malformed,
    /// No port is free; the client is not told and asks again.
    NoPort,
    /// All transfers are taken, and it has waited as long as it may; the client asks again.
    Overload,
    /// This client, or its neighbourhood, has its share of transfers; the client is not told.
    TooMany,
    /// Short of descriptors or memory; the client is not told and asks again.
    Busy,
    /// The system failed to open the file or to make a socket.
    Io,
}

impl Refusal {
    /// A short name for logs and metrics.
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

    /// What an operator might do about it, or need not. Nothing for what speaks for itself: firmware
    /// looks for many files that are not there.
    pub const fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::DeniedByAcl => {
                "the lists of networks exclude this client; see --allow and --deny"
            }
            Self::DeniedByRule => "a rule of the map file turns this name away",
            Self::Permission => "this user may not read the file",
            Self::NotAFile => "only regular files are served",
            Self::ReadOnly => "nothing is taken from clients; see --writable",
            Self::Exists => "a file of this name is kept; see --existing",
            Self::DiskFull => "make room where uploads go",
            Self::TooLarge => "more than is taken from clients; see --max-upload",
            Self::NoPort => "all transfer ports are in use; the client asks again; give more ports",
            Self::Overload => "all transfers are taken; the client asks again; see --max-transfers",
            Self::TooMany => "this client has its share of transfers; see --max-per-client",
            Self::Busy => "out of descriptors or memory; the client asks again; see ulimit -n",
            _ => return None,
        })
    }
}

/// Why a transfer broke off: a closed set, fit for a label.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// The client never answered the first reply.
    NoAck,
    /// The client fell silent on the way.
    Silence,
    /// The client's host says that nobody listens there.
    ClientGone,
    /// The client gave up and said why.
    ClientError {
        /// Its code.
        code: ErrorCode,
        /// Its words.
        text: Box<[u8]>,
    },
    /// The same client asked for something else, or again: it has started over.
    Replaced,
    /// It had shown nothing of itself when its place was needed.
    Evicted,
    /// This host's own firewall forbids the datagrams to leave.
    LocalFirewall,
    /// The file that the client wrote could not be stored.
    Store {
        /// What the client was told.
        code: ErrorCode,
        /// What the system says.
        why: String,
    },
    /// The client wrote more than it may.
    TooLarge {
        /// The bytes it may write.
        limit: u64,
    },
    /// The file could not be read, or the socket not be written.
    Io(String),
    /// The server was stopped.
    Shutdown,
}

impl Cause {
    /// A short name for logs and metrics.
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

    /// What an operator might do about it, or what it most likely means.
    pub const fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoAck => {
                "the client never answered this port; a firewall or NAT between may let only the listening port through"
            }
            Self::Silence => "the client was switched off, or the path to it is broken",
            Self::ClientGone => {
                "nobody listens at the client's port any more: it has left or started over"
            }
            Self::Replaced => "the client has started over",
            Self::Evicted => {
                "many clients that never answer; somebody may be asking in their names"
            }
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
            } => "another upload took this name meanwhile; see --existing",
            Self::TooLarge { .. } => "more than is taken from clients; see --max-upload",
            Self::Shutdown => "the client asks again; see --drain",
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
    pub(super) fn from_outcome(outcome: &Outcome, direction: Direction) -> Self {
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

/// How many requests ended in which way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Whole files sent.
    pub sent: u64,
    /// Whole files received.
    pub received: u64,
    /// Requests for the size or the options only.
    pub probed: u64,
    /// Requests that became no transfer.
    pub refused: u64,
    /// Transfers that broke off.
    pub failed: u64,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, more: Self) {
        self.sent += more.sent;
        self.received += more.received;
        self.probed += more.probed;
        self.refused += more.refused;
        self.failed += more.failed;
    }
}

impl Summary {
    pub(super) fn count(&mut self, ending: &Ending) {
        match ending {
            Ending::Sent { .. } => self.sent += 1,
            Ending::Received => self.received += 1,
            Ending::Probed => self.probed += 1,
            Ending::Refused(_) => self.refused += 1,
            Ending::Failed(_) => self.failed += 1,
        }
    }
}
