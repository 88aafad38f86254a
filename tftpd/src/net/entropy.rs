//! The keys of hashes that a sender must not foresee.

use std::hash::RandomState;

/// Returns a hasher with a random key.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that draws keys of hashes"
)]
pub(crate) fn random_state() -> RandomState {
    RandomState::new()
}
