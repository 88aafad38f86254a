//! The steps of a request when no port is left.

use std::time::Duration;

use super::Sharing;

/// The steps of a request when no port is left: share a port, then wait for one, then fail.
///
/// Each step but the last is optional, and their order is fixed. Without the first two, which is the
/// default, a request fails immediately.
///
/// ```
/// use std::time::Duration;
/// use eport_core::{Sharing, WaitLimits, WhenFull};
///
/// let when_full = WhenFull::FAIL
///     .share(Sharing::last_ports(256))
///     .wait(WaitLimits::new(100, Duration::from_secs(2)));
/// assert_eq!(when_full.share, Some(Sharing::default()));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct WhenFull {
    /// First step: one of the last ports is shared with other peers, if the request is for a
    /// connected UDP socket.
    ///
    /// This needs a kernel that finds connected UDP sockets by both ends (Linux 6.13): an older one
    /// compares every datagram with all sockets of the port.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    /// use eport_core::{Allocator, PortPolicy, Sharing, WhenFull};
    /// use eport_core::BuildError;
    ///
    /// let last = WhenFull::FAIL.share(Sharing::last_ports(1));
    /// let builder = Allocator::builder().ports("50001".parse()?);
    /// let allocator = match builder.policy(PortPolicy::default().when_full(last)).build() {
    ///     Err(BuildError::SharingUnsupported { .. }) => return Ok(()), // an older kernel
    ///     built => built?,
    /// };
    /// let [one, other] = ["127.0.0.1:4000".parse()?, "127.0.0.1:4001".parse()?];
    /// let one = allocator.udp(Ipv4Addr::LOCALHOST).peer(one).lease()?;
    /// let other = allocator.udp(Ipv4Addr::LOCALHOST).peer(other).lease()?;
    /// assert_eq!(one.port(), other.port()); // and each receives from its own peer only
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub share: Option<Sharing>,
    /// Second step: the request waits in a FIFO queue; the request that has waited longest is served
    /// first.
    ///
    /// A request for one certain port does not wait: it fails if that port is taken.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    /// use std::time::Duration;
    /// use eport_core::{Allocator, LeaseError, PortPolicy, WaitLimits, WhenFull};
    ///
    /// let patient = WhenFull::FAIL.wait(WaitLimits::new(100, Duration::from_millis(20)));
    /// let allocator = Allocator::builder()
    ///     .ports("50000".parse()?)
    ///     .policy(PortPolicy::default().when_full(patient))
    ///     .build()?;
    /// let only = allocator.udp(Ipv4Addr::LOCALHOST).lease()?;
    /// let second = allocator.udp(Ipv4Addr::LOCALHOST).lease();
    /// assert!(matches!(second, Err(LeaseError::TimedOut { .. })));
    /// # drop(only);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub wait: Option<WaitLimits>,
}

impl WhenFull {
    /// Neither step: a request fails immediately.
    pub const FAIL: Self = Self {
        share: None,
        wait: None,
    };

    /// Sets [`share`](Self::share).
    #[must_use]
    pub const fn share(self, sharing: Sharing) -> Self {
        Self {
            share: Some(sharing),
            ..self
        }
    }

    /// Sets [`wait`](Self::wait).
    #[must_use]
    pub const fn wait(self, limits: WaitLimits) -> Self {
        Self {
            wait: Some(limits),
            ..self
        }
    }
}

/// The bounds of the queue of requests that wait for a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct WaitLimits {
    /// The number of requests that may wait at the same time; one more fails immediately.
    pub waiters: usize,
    /// The longest time a request waits before it fails.
    pub timeout: Duration,
}

impl WaitLimits {
    /// Returns the bounds for so many requests, each of which waits for `timeout` at most.
    pub const fn new(waiters: usize, timeout: Duration) -> Self {
        Self { waiters, timeout }
    }
}
