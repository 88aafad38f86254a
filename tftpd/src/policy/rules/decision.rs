//! What the rules decided, and how they came to it.

use std::fmt;

use super::rule::{Flow, Rule};
use crate::{
    policy::{Name, NameError, Printable},
    proto::ErrorCode,
};

/// The most steps that a decision remembers: enough to explain it, too few to fill memory.
pub const MAX_STEPS: usize = 64;

/// What [`Rules`](super::Rules) decided about one request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The file to look for, or why there is none.
    pub verdict: Result<Name, RewriteError>,
    /// The rules that matched, in the order in which they did; at most the first [`MAX_STEPS`].
    pub steps: Vec<Step>,
    /// Whether a rule that matched says that a missing file is nothing to report.
    pub quiet_missing: bool,
}

/// One rule that matched.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// The rule's number in the configuration, or its line in the map file; from 1.
    pub rule: u32,
    /// What it did.
    pub effect: Effect,
    /// Where it went on.
    pub then: Then,
}

/// What a rule did to a name.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// It left the name as it is.
    Kept,
    /// It rewrote the name.
    Rewrote {
        /// The name afterwards, not yet normalised.
        to: Vec<u8>,
    },
    /// It refused the request.
    Denied {
        /// What the client is to be told, if the rule says so.
        text: Option<Vec<u8>>,
    },
}

/// What comes after a rule that matched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Then {
    /// The rule behind it.
    WentOn,
    /// Nothing: the name stands.
    Stopped,
    /// The first rule.
    StartedOver,
    /// The rules behind a label.
    Jumped,
}

/// Why the rules give no file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// A rule says so.
    #[error("denied by rule {rule}")]
    Denied {
        /// The rule's number, or its line in the map file.
        rule: u32,
        /// What the client is to be told instead of the usual wording.
        text: Option<Vec<u8>>,
    },
    /// The rules do not come to an end, or not within the work that one name is worth.
    #[error(
        "the rules take too long: rule {rule} repeats, starts over or jumps back again and again"
    )]
    Endless {
        /// The rule that was about to be tried once more.
        rule: u32,
    },
    /// What was asked for, or what the rules made of it, is not the name of a file.
    #[error(transparent)]
    NoName(#[from] NameError),
}

impl RewriteError {
    /// The code for the peer.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Denied { .. } | Self::Endless { .. } => ErrorCode::AccessViolation,
            Self::NoName(error) => error.code(),
        }
    }

    /// The text for the peer: the rule's own, or that of the code. Never the server's path.
    pub fn text(&self) -> &[u8] {
        match self {
            Self::Denied {
                text: Some(text), ..
            } => text,
            _ => self.code().text().as_bytes(),
        }
    }
}

impl Step {
    pub(super) fn new(rule: &Rule, effect: Effect) -> Self {
        let then = match (&effect, rule.flow) {
            (Effect::Denied { .. }, _) | (_, Flow::Stop) => Then::Stopped,
            (_, Flow::Next) => Then::WentOn,
            (_, Flow::Restart) => Then::StartedOver,
            (_, Flow::Jump(_)) => Then::Jumped,
        };
        Self {
            rule: rule.number,
            effect,
            then,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} {} and {}", self.rule, self.effect, self.then)
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("kept it"),
            Self::Rewrote { to } => write!(f, "rewrote it to \"{}\"", Printable(to)),
            Self::Denied { text: None } => f.write_str("denied it"),
            Self::Denied { text: Some(text) } => {
                write!(f, "denied it with \"{}\"", Printable(text))
            }
        }
    }
}

impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WentOn => "went on",
            Self::Stopped => "stopped",
            Self::StartedOver => "started over",
            Self::Jumped => "jumped to its label",
        })
    }
}
