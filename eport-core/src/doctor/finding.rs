//! A finding: a fact about a host, the reason why it matters, the remedy.

use std::error::Error;
use std::fmt;

use super::severity::Severity;
use crate::plan::{Note, NoteLevel, PlanError};
use crate::system::HostError;

/// A fact about a host that an operator should read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Finding {
    /// A name that does not change: lower-case words with hyphens.
    pub code: &'static str,
    /// Its weight.
    pub severity: Severity,
    /// The fact.
    pub what: String,
    /// The reason why the fact matters.
    pub why: String,
    /// The remedy, if there is one; `run: ` comes before a command.
    pub fix: Option<String>,
}

impl Finding {
    /// Creates a finding without a remedy.
    pub fn new(
        code: &'static str,
        severity: Severity,
        what: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity,
            what: what.into(),
            why: why.into(),
            fix: None,
        }
    }

    /// Sets the remedy.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self {
            fix: Some(fix.into()),
            ..self
        }
    }

    pub(super) fn from_note(note: &Note) -> Self {
        let severity = match note.level() {
            NoteLevel::Info => Severity::Info,
            NoteLevel::Warning => Severity::Warning,
        };
        Self {
            fix: note.fix(),
            ..Self::new(note.code(), severity, note.what(), reason(note))
        }
    }

    pub(super) fn from_plan_error(error: &PlanError) -> Self {
        let why = "an allocator with these settings does not start";
        match error {
            PlanError::Overlap { warning } => Self {
                severity: Severity::Error,
                ..Self::from_note(warning)
            },
            PlanError::Empty { .. } => {
                Self::new("range-empty", Severity::Error, error.to_string(), why)
                    .fix("name other ports, or free some of these")
            }
        }
    }

    pub(super) fn from_host_error(error: &HostError) -> Self {
        let mut what = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            what = format!("{what}: {cause}");
            next = cause.source();
        }
        let why = "checks that need it are skipped, and an allocator that needs it does not start";
        Self::new("host-unreadable", Severity::Warning, what, why)
    }
}

/// Returns the reason why a note about a plan matters.
fn reason(note: &Note) -> &'static str {
    match note {
        Note::AutoOverlaps { .. } | Note::OverlapsEphemeral { .. } => {
            "the kernel can give one of these ports to any program that binds port 0"
        }
        Note::FewPorts { .. } | Note::FewApart { .. } => {
            "few ports are soon all in use, and easy to guess"
        }
        Note::SetAside { .. } => "the kernel gives none of them to other programs",
        Note::OverlapLeftOut { .. } => "the overlap policy is to avoid such ports",
        Note::SystemPortsLeftOut { .. } => "ports below 1024 belong to well-known services",
        Note::SystemPortsUsed { .. } => "without the capability, binding each of them fails",
    }
}

/// Prints two or three lines: the fact, the reason, the remedy.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            severity,
            what,
            why,
            fix,
        } = self;
        write!(f, "{severity}: {what} [{code}]\n  why: {why}")?;
        match fix {
            Some(fix) => write!(f, "\n  fix: {fix}"),
            None => Ok(()),
        }
    }
}
