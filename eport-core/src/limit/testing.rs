//! Virtual time for the tests of this folder.

use std::time::Instant;

/// The instant at which virtual time begins.
#[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
pub(super) fn start() -> Instant {
    Instant::now()
}
