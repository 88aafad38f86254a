//! One thing worth saying about a host.

use std::error::Error;
use std::fmt;

use crate::plan;
use crate::plan::{Note, PlanError};
use crate::system::HostError;

/// How much a [`Finding`] matters.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Severity {
    /// Good to know; nothing needs to change.
    Info,
    /// Works now, and something outside can change that at any time.
    Warning,
    /// Does not work.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing worth saying about a host.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Finding {
    /// A name that does not change: lower-case words with hyphens.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is the case.
    pub what: String,
    /// Why that matters.
    pub why: String,
    /// What to do about it, if anything; a command is introduced by `run: `.
    pub fix: Option<String>,
}

impl Finding {
    /// A finding with nothing to do about it.
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

    /// The same finding with what to do about it.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self {
            fix: Some(fix.into()),
            ..self
        }
    }

    pub(super) fn from_note(note: &Note) -> Self {
        let severity = match note.level() {
            plan::NoteLevel::Info => Severity::Info,
            plan::NoteLevel::Warning => Severity::Warning,
        };
        Self {
            fix: note.fix(),
            ..Self::new(note.code(), severity, note.what(), reason(note))
        }
    }

    pub(super) fn from_plan_error(error: &PlanError) -> Self {
        let why = "without a port nothing can be handed out";
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
        let why = "what is not read is not checked, and an allocator that needs it does not start";
        Self::new("host-unreadable", Severity::Warning, what, why)
    }
}

/// Why a note about a plan matters.
fn reason(note: &Note) -> &'static str {
    match note {
        Note::AutoOverlaps { .. } | Note::OverlapsEphemeral { .. } => {
            "any program that asks for no particular port can be given one of these"
        }
        Note::FewPorts { .. } | Note::FewApart { .. } => {
            "few ports are soon all in use, and easy to guess"
        }
        Note::SetAside { .. } => "the kernel gives none of them to other programs",
        Note::OverlapLeftOut { .. } => "an overlap is to be avoided",
        Note::SystemPortsLeftOut { .. } => "ports below 1024 belong to well-known services",
        Note::SystemPortsUsed { .. } => "without the capability each of them is refused",
    }
}

/// Prints two or three lines: what, why, and what to do.
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
