//! A failure as a program prints it: the message with its causes, the remedy, the exit code.

use std::error::Error;
use std::fmt;
use std::io;

use super::exit::Exit;
use crate::allocator::BuildError;
use crate::plan::PlanError;
use crate::system::HostError;

/// The reason why a program ends early. It prints as one line `error:` and one line `hint:` for
/// each remedy.
///
/// ```
/// use eport_core::program::{Exit, Failure};
///
/// let failure = Failure::new(Exit::NotFound, "/srv/tftp does not exist").hint("create it");
/// assert_eq!(failure.to_string(), "error: /srv/tftp does not exist\nhint: create it");
/// ```
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    what: String,
    hints: Vec<String>,
}

impl Failure {
    /// Creates a failure from a message.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            hints: Vec::new(),
        }
    }

    /// Creates a failure from an error and its sources.
    pub fn from_error(exit: Exit, error: &dyn Error) -> Self {
        let failure = Self::new(exit, error.to_string());
        match error.source() {
            Some(source) => failure.because(source),
            None => failure,
        }
    }

    /// Appends a cause and its sources to the message. A cause that the message ends with already
    /// is left out.
    #[must_use]
    pub fn because(mut self, cause: &dyn Error) -> Self {
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

    /// Adds a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Returns the status that the program ends with.
    pub const fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        let mut hints = self.hints.iter();
        hints.try_for_each(|hint| write!(f, "\nhint: {hint}"))
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Host(error) => error.into(),
            BuildError::Plan(error) => error.into(),
            error @ (BuildError::Entropy(_) | BuildError::SharingUnsupported { .. }) => {
                Self::from_error(Exit::System, &error)
            }
        }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::from_error(Exit::Config, &error)
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        let exit = match &error {
            HostError::Malformed { .. } | HostError::Line { .. } => Exit::Config,
            HostError::Unreadable { source, .. } | HostError::Sockets { source, .. } => {
                match source.kind() {
                    io::ErrorKind::PermissionDenied => Exit::Denied,
                    _ => Exit::System,
                }
            }
        };
        Self::from_error(exit, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_on_the_same_line_and_each_hint_on_its_own() {
        let cause = io::Error::from(io::ErrorKind::StorageFull);
        let failure = Failure::new(Exit::Io, "cannot write x")
            .because(&cause)
            .hint("make room")
            .hint("or write elsewhere");
        assert_eq!(
            failure.to_string(),
            "error: cannot write x: no storage space\nhint: make room\nhint: or write elsewhere"
        );
    }

    #[test]
    fn a_cause_that_the_message_repeats_is_printed_once() {
        let cause = io::Error::from(io::ErrorKind::StorageFull);
        let failure = Failure::new(Exit::Io, "cannot write x: no storage space").because(&cause);
        assert_eq!(
            failure.to_string(),
            "error: cannot write x: no storage space"
        );
    }

    #[test]
    fn an_unreadable_file_has_the_status_of_its_cause() {
        for (kind, exit) in [
            (io::ErrorKind::PermissionDenied, Exit::Denied),
            (io::ErrorKind::Interrupted, Exit::System),
        ] {
            let failure = Failure::from(HostError::Unreadable {
                path: "etc/services".into(),
                source: kind.into(),
            });
            assert_eq!(failure.exit(), exit);
            let text = failure.to_string();
            assert!(
                text.starts_with("error: cannot read etc/services; "),
                "{text}"
            );
            assert!(text.ends_with(&format!(": {kind}")), "{text}");
        }
    }
}
