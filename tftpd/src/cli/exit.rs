//! How a program ends: a message with its cause and remedy, and a code from `sysexits.h`.

use std::{error::Error, fmt, process::ExitCode};

/// The command line makes no sense.
pub(super) const USAGE: u8 = 64;
/// A file or directory is not there.
pub(super) const NOINPUT: u8 = 66;
/// A server is not there, or a port is taken.
pub(super) const UNAVAILABLE: u8 = 69;
/// The system refuses something that should work.
pub(super) const OSERR: u8 = 71;
/// Reading or writing failed on the way.
pub(super) const IOERR: u8 = 74;
/// The other side broke the protocol.
pub(super) const PROTOCOL: u8 = 76;
/// It is not permitted.
pub(super) const NOPERM: u8 = 77;
/// What was configured cannot be done on this machine.
pub(super) const CONFIG: u8 = 78;
/// Somebody wanted it to end: 128 and the number of SIGINT, as shells have it.
pub(super) const INTERRUPTED: u8 = 130;

/// Why a program ends early: two lines, `error:` and `hint:`.
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

    /// A failure with what an error and its sources say.
    pub(super) fn from_error(code: u8, error: &dyn Error) -> Self {
        let failure = Self::new(code, error.to_string());
        match error.source() {
            Some(source) => failure.because(source),
            None => failure,
        }
    }

    /// Adds the cause, and its causes, to the message.
    #[must_use]
    pub(super) fn because(mut self, cause: &dyn Error) -> Self {
        let mut next = Some(cause);
        while let Some(cause) = next {
            let text = cause.to_string();
            if !self.what.ends_with(&text) {
                self.what = format!("{}: {text}", self.what);
            }
            next = cause.source();
        }
        self
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_on_the_same_line_and_the_hint_on_the_next() {
        let cause = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let failure = Failure::new(IOERR, "cannot write x")
            .because(&cause)
            .hint("make room");
        assert_eq!(
            failure.to_string(),
            "error: cannot write x: no storage space\nhint: make room"
        );
    }
}
