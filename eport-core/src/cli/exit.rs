//! How the program ends: a message with its cause and remedy, and a code from `sysexits.h`.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::allocator::BuildError;
use crate::plan::PlanError;
use crate::system::HostError;

/// The command line makes no sense.
pub(super) const USAGE: u8 = 64;
/// A directory is not there.
pub(super) const NOINPUT: u8 = 66;
/// The system refuses something that should work.
pub(super) const OSERR: u8 = 71;
/// The result cannot be written.
pub(super) const IOERR: u8 = 74;
/// It is not permitted.
pub(super) const NOPERM: u8 = 77;
/// What was asked for cannot be done on this machine as it is configured.
pub(super) const CONFIG: u8 = 78;

/// Why the program ends early: two lines, `error:` and `hint:`.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    what: String,
    hint: Option<&'static str>,
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
        let mut failure = Self::new(code, error.to_string());
        let mut next = error.source();
        while let Some(cause) = next {
            failure.what = format!("{}: {cause}", failure.what);
            next = cause.source();
        }
        failure
    }

    /// Adds what can be done about it.
    pub(super) fn hint(self, hint: &'static str) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }

    pub(super) fn code(&self) -> ExitCode {
        self.code.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        match self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Host(error) => error.into(),
            BuildError::Plan(error) => error.into(),
            error @ (BuildError::Entropy(_) | BuildError::SharingUnsupported { .. }) => {
                Self::from_error(OSERR, &error)
            }
        }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::from_error(CONFIG, &error)
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        let code = match &error {
            HostError::Malformed { .. } | HostError::Line { .. } => CONFIG,
            HostError::Unreadable { source, .. } | HostError::Sockets { source, .. } => {
                if source.kind() == io::ErrorKind::PermissionDenied {
                    NOPERM
                } else {
                    OSERR
                }
            }
        };
        Self::from_error(code, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_on_the_same_line_and_the_code_says_whose_fault_it_is() {
        let denied = HostError::Unreadable {
            path: "etc/services".into(),
            source: io::ErrorKind::PermissionDenied.into(),
        };
        let failure = Failure::from(denied).hint("ask root");
        assert_eq!(failure.code, NOPERM);
        let said = failure.to_string();
        assert!(
            said.starts_with("error: cannot read etc/services; "),
            "{said}"
        );
        assert!(
            said.ends_with(": permission denied\nhint: ask root"),
            "{said}"
        );
    }
}
