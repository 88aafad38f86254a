//! Re-reading the host for a running allocator.

use super::Allocator;
use crate::plan::{Overlap, PlanError, plan_with};
use crate::ports::{PortSet, Reserved};
use crate::system::{BoundSocket, Host, HostError, Sources};

/// The changes found when the host was read again.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Reloaded {
    /// Ports that are no longer handed out.
    pub withheld: PortSet,
    /// Ports that are handed out again.
    pub returned: PortSet,
    /// The number of ports of the plan that sockets of other programs have; `None` if those were not
    /// read.
    pub in_use: Option<usize>,
}

impl Allocator {
    /// Reads the host again and applies its present reservations, without disturbing a lease.
    ///
    /// A port that has become reserved is no longer handed out once its lease has ended, and again
    /// when it is no longer reserved. Ports that the plan left out already stay out: they need
    /// another allocator. The rules are those of [`plan_with`]. The
    /// [sockets that are read](Sources::known_sockets) are listed anew: their ports are
    /// skipped, and those that were in use and are not listed are free.
    ///
    /// # Errors
    /// [`HostError`] when the host cannot be read; then everything stays as it is.
    ///
    /// ```
    /// use eport_core::Allocator;
    /// use eport_core::system::{Host, Sources};
    ///
    /// let allocator = Allocator::builder().ports("50000-50009".parse()?).build()?;
    /// let sources = Sources::default().exclude(&"50003".parse()?);
    /// let reloaded = allocator.reload(&sources, &Host::new())?;
    /// assert_eq!(reloaded.withheld.to_string(), "50003");
    /// let reloaded = allocator.reload(&Sources::default(), &Host::new())?;
    /// assert_eq!(reloaded.returned.to_string(), "50003");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reload(&self, sources: &Sources, host: &Host) -> Result<Reloaded, HostError> {
        let (reserved, sockets) = (sources.read(host)?, sources.read_sockets(host)?);
        let reserved = self.concerns(&reserved);
        let after = reserved.union();
        let before = self
            .shared
            .change_pool(|pool| pool.reserve(reserved))
            .union();
        Ok(Reloaded {
            withheld: after.minus(&before),
            returned: before.minus(&after),
            in_use: sockets.map(|sockets| self.mark_sockets(&sockets)),
        })
    }

    /// Marks the ports of these sockets foreign; returns the number of ports.
    pub(super) fn mark_sockets(&self, sockets: &[BoundSocket]) -> usize {
        let now = self.shared.now();
        let ports = sockets.iter().map(|socket| (socket.space(), socket.port()));
        self.shared
            .change_pool(|pool| pool.set_foreign_sockets(ports, now))
    }

    /// Returns the reservations that keep a port of the plan from being handed out.
    fn concerns(&self, reserved: &Reserved) -> Reserved {
        // The overlap with the range of the kernel was decided when the plan was made.
        let left_out = match plan_with(self.plan.spec(), None, reserved, Overlap::Allow) {
            Ok(plan) => plan.left_out().clone(),
            Err(PlanError::Empty { left_out, .. }) => left_out,
            Err(_) => reserved.clone(),
        };
        left_out.restricted_to(self.plan.ports())
    }
}
