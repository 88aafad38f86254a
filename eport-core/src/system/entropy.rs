use std::io;

/// Reads a seed from the operating system.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks the system for randomness"
)]
pub(crate) fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}

/// Reads a seed from the operating system, if it has a random source.
pub(crate) fn reseed() -> Option<[u8; 32]> {
    seed().ok()
}
