//! The ports of a server's transfers.

use eport_core::{Allocator, AllocatorBuilder, BuildError, PortPolicy, Sharing, WhenFull};

/// One port of so many is shared when no other is left.
const ONE_IN: usize = 16;
/// The most ports that are shared. With 64 clients each they carry 16,384 transfers.
const MOST_SHARED: usize = 256;

/// An allocator whose last ports carry several clients each, so that a hall of machines that boots at
/// once is not held up by a narrow range: a sixteenth of the ports, 256 at most, 64 clients each.
///
/// That takes a kernel that finds a connected socket by both its ends (Linux 6.13), and 16 ports or
/// more; otherwise a request waits for a port when all are taken.
///
/// # Errors
/// Those of [`AllocatorBuilder::build`].
///
/// ```
/// use eport_core::Allocator;
/// use tftpd::server::transfer_ports;
///
/// let ports = Allocator::builder().ports("61000-61999".parse()?);
/// let allocator = transfer_ports(ports)?;
/// assert_eq!(allocator.plan().ports().len(), 1000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn transfer_ports(ports: AllocatorBuilder) -> Result<Allocator, BuildError> {
    let plain = ports.clone().build()?;
    let shared = (plain.plan().ports().len() / ONE_IN).min(MOST_SHARED);
    let Some(shared) = u16::try_from(shared).ok().filter(|shared| *shared > 0) else {
        return Ok(plain);
    };
    let when_full = WhenFull::FAIL.share(Sharing::last_ports(shared));
    match ports
        .policy(PortPolicy::default().when_full(when_full))
        .build()
    {
        Err(BuildError::SharingUnsupported { .. }) => Ok(plain),
        built => built,
    }
}
