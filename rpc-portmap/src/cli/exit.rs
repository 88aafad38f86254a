//! How the program ends: a message with its cause and remedy, and a code from `sysexits.h`.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use crate::client::{CallError, ConnectError};

/// What was asked for is not there.
pub(super) const NOT_THERE: u8 = 1;
/// The command line makes no sense.
pub(super) const USAGE: u8 = 64;
/// A server is not there, or a port is taken.
pub(super) const UNAVAILABLE: u8 = 69;
/// The system refuses something that should work.
pub(super) const OSERR: u8 = 71;
/// The other side broke the protocol.
pub(super) const PROTOCOL: u8 = 76;
/// It is not permitted.
pub(super) const NOPERM: u8 = 77;

/// Why the program ends early: two lines, `error:` and `hint:`.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    what: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure with what went wrong.
    pub(super) fn new(code: u8, what: impl Into<String>) -> Self {
        Self {
            code,
            what: what.into(),
            hint: None,
        }
    }

    /// A failure with what an error and its causes say.
    pub(super) fn from_error(code: u8, error: &dyn Error) -> Self {
        let mut what = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !what.ends_with(&text) {
                what = format!("{what}: {text}");
            }
            next = cause.source();
        }
        Self::new(code, what)
    }

    /// Adds what can be done about it.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn code(&self) -> ExitCode {
        self.code.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<CallError> for Failure {
    fn from(failed: CallError) -> Self {
        match &failed {
            CallError::TimedOut(after) => no_answer(*after),
            CallError::BadReply(_) | CallError::BadResults(_) => {
                Self::from_error(PROTOCOL, &failed)
            }
            CallError::Rpc(_) => Self::from_error(PROTOCOL, &failed),
            CallError::Unreachable(_) | CallError::Closed => Self::from_error(UNAVAILABLE, &failed),
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(failed: ConnectError) -> Self {
        let failure = Self::from_error(UNAVAILABLE, &failed);
        match failed {
            ConnectError::Unix { .. } => {
                failure.hint("no portmapper is running here; start one with: rpc-portmap serve")
            }
            ConnectError::Ip { .. } => failure.hint(
                "nobody may be listening there, or a firewall refuses; HOST:PORT asks elsewhere",
            ),
            ConnectError::NoSocket { .. } => failure,
        }
    }
}

/// Nobody answered.
pub(super) fn no_answer(after: Duration) -> Failure {
    Failure::new(
        UNAVAILABLE,
        format!("no answer within {} s", after.as_secs_f64()),
    )
    .hint("a firewall may drop the packets; --timeout waits longer")
}
