//! The log on standard error.

use std::io::{self, IsTerminal};

use tracing::Level;

/// Starts logging to standard error, in colour on a terminal. Called once, at the start.
pub fn start_logging(level: Level) {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .with_max_level(level)
        .init();
}
