//! The environment variables that a service manager sets.

/// Returns the value of an environment variable; `None` if it is unset or not UTF-8.
#[expect(
    clippy::disallowed_methods,
    reason = "the one function that reads the environment"
)]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
