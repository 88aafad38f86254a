//! Errors of map files.

use std::fmt;

/// The reason why a map file is rejected: every line with an error, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MapFileError {
    problems: Vec<(u32, MapFileLineError)>,
}

impl MapFileError {
    /// Returns the lines, counted from 1, and the error in each.
    pub fn problems(&self) -> &[(u32, MapFileLineError)] {
        &self.problems
    }

    pub(super) fn add(&mut self, line: u32, problem: MapFileLineError) {
        self.problems.push((line, problem));
    }

    /// Returns `value` if there is no error.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, Self> {
        if self.problems.is_empty() {
            return Ok(value);
        }
        self.problems.sort_by_key(|&(line, _)| line);
        Err(self)
    }
}

impl fmt::Display for MapFileError {
    /// Formats one error per line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (line, problem)) in self.problems.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}line {line}: {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for MapFileError {}

/// An error in a line of a map file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MapFileLineError {
    /// A letter that is no operation.
    #[error("'{0}' is no operation: known are r g i e s j a ~ G P 4 6")]
    UnknownOperation(char),
    /// Two letters that contradict each other.
    #[error("'{0}' and '{1}' cannot be combined")]
    Clash(char, char),
    /// A construct of tftp-hpa that is not supported.
    #[error("{construct} is not supported: {instead}")]
    Unsupported {
        /// The construct.
        construct: String,
        /// The replacement for it.
        instead: &'static str,
    },
    /// An operation and nothing else.
    #[error("there is no regex after the operation")]
    NoRegex,
    /// A regex that does not compile.
    #[error("the regex {regex:?} is not usable: {reason}")]
    BadRegex {
        /// The regex as written.
        regex: String,
        /// The error of the compiler.
        reason: String,
    },
    /// A group in a replacement that the regex does not have.
    #[error("the replacement refers to \\{group}, but the last group of the regex is \\{groups}")]
    NoGroup {
        /// The number after the backslash.
        group: usize,
        /// The number of groups.
        groups: usize,
    },
    /// A replacement without effect.
    #[error("the replacement {0:?} has no effect without 'r', 'a' or 'j'")]
    IdleReplacement(String),
    /// More fields than three.
    #[error("{0:?} follows the replacement: write '\\' before a blank, '#' before a comment")]
    Surplus(String),
    /// A `:` or a `j` without a label.
    #[error("there is no label")]
    NoLabel,
    /// A jump to a label that does not exist.
    #[error("there is no line ':{0}' to jump to")]
    UnknownLabel(String),
    /// The same label twice.
    #[error("the label ':{0}' is on an earlier line already")]
    DuplicateLabel(String),
}

impl MapFileLineError {
    pub(super) fn unsupported(construct: impl Into<String>, instead: &'static str) -> Self {
        Self::Unsupported {
            construct: construct.into(),
            instead,
        }
    }
}
