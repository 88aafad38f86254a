//! The ports of a server's transfers.

use eport_core::{Allocator, AllocatorBuilder, BuildError, PortPolicy, Sharing, WhenFull};

/// One of this many ports is shared when all others are taken.
const ONE_IN: usize = 16;
/// The most ports that are shared: with 64 clients each they carry 16,384 transfers.
const MOST_SHARED: usize = 256;

/// Returns an allocator whose last ports carry several clients each, so that a narrow range does not
/// delay many machines that boot at the same time: a sixteenth of the ports, at most 256, with 64
/// clients each.
///
/// Sharing needs a kernel that looks up connected sockets by both addresses (Linux 6.13), and 16
/// ports or more; otherwise a request waits for a port when all are taken.
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
