//! The decision of the rules, with its steps.

use std::fmt;

use super::rule::{Flow, Rule};
use crate::{
    policy::{Name, NameError, Printable},
    proto::ErrorCode,
};

/// The most steps kept in a decision: enough to explain it, and a bound on memory.
pub const MAX_STEPS: usize = 64;

/// The decision of [`Rules`](super::Rules) about one request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The file to look for, or the reason of the refusal.
    pub verdict: Result<Name, RewriteError>,
    /// The rules that matched, in order; at most the first [`MAX_STEPS`].
    pub steps: Vec<Step>,
    /// Set when a rule that matched has [`quiet_missing`](super::RuleBuilder::quiet_missing).
    pub quiet_missing: bool,
}

/// One rule that matched.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// The rule's number in the configuration, or its line in the map file; from 1.
    pub rule: u32,
    /// The effect on the name.
    pub effect: Effect,
    /// The next rule.
    pub then: Then,
}

/// The effect of a rule on a name.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// The rule left the name as it is.
    Kept,
    /// The rule rewrote the name.
    Rewrote {
        /// The name afterwards, not yet normalised.
        to: Vec<u8>,
    },
    /// The rule refused the request.
    Denied {
        /// The text for the client, if the rule has one.
        text: Option<Vec<u8>>,
    },
}

/// The continuation after a rule that matched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Then {
    /// At the next rule.
    WentOn,
    /// At the end: the name is final.
    Stopped,
    /// At the first rule.
    StartedOver,
    /// At the rules after a label.
    Jumped,
}

/// The reason why the rules return no file name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// A rule denies the request.
    #[error("denied by rule {rule}")]
    Denied {
        /// The rule's number, or its line in the map file.
        rule: u32,
        /// The text for the client instead of the usual wording.
        text: Option<Vec<u8>>,
    },
    /// The rules did not end within the work allowed for one name.
    #[error("the rules take too long: rule {rule} repeats, starts over or jumps back endlessly")]
    Endless {
        /// The next rule when the work was used up.
        rule: u32,
    },
    /// The requested or the rewritten name is not the name of a file.
    #[error(transparent)]
    NoName(#[from] NameError),
}

impl RewriteError {
    /// Returns the code for the peer.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Denied { .. } | Self::Endless { .. } => ErrorCode::AccessViolation,
            Self::NoName(error) => error.code(),
        }
    }

    /// Returns the text for the peer: the rule's own, or that of the code. Never a path of the server.
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
