//! The result of a command, as text and as JSON.

use serde_json::Value;

use crate::program::{self, Exit, Failure};

/// The result of a command.
pub(super) struct Report {
    text: String,
    json: Value,
    exit: Exit,
}

impl Report {
    /// Creates the result of a command that succeeded.
    pub(super) fn new(text: impl Into<String>, json: Value) -> Self {
        Self {
            text: text.into(),
            json,
            exit: Exit::Success,
        }
    }

    /// Sets the exit status.
    pub(super) fn exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// Prints the result in one of its forms and returns the exit status.
    pub(super) fn print(&self, as_json: bool) -> Result<Exit, Failure> {
        if as_json {
            program::print_json(&self.json)?;
        } else {
            program::print(&format!("{}\n", self.text.trim_end()))?;
        }
        Ok(self.exit)
    }
}
