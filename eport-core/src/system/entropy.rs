use std::io;

/// Randomness from the operating system.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks the system for randomness"
)]
pub(crate) fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}

/// Randomness from the operating system, if it has any.
pub(crate) fn reseed() -> Option<[u8; 32]> {
    seed().ok()
}
