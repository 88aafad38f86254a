//! One part of a plan.

use super::{Plan, PlanError};
use crate::ports::{Shard, Source};

impl Plan {
    /// The same plan for one of several parts of its ports; the others are left out as
    /// [`Source::OtherShards`].
    ///
    /// # Errors
    /// [`PlanError::Empty`] when there are fewer ports than parts and none is left for this one.
    ///
    /// ```
    /// # use eport_core::{Reserved, plan};
    /// let plan = plan(&"50000-50099".parse()?, None, &Reserved::default())?;
    /// assert_eq!(plan.shard("2/4".parse()?)?.to_string(), "25 ports: 50025-50049");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shard(self, shard: Shard) -> Result<Self, PlanError> {
        let ports = self.ports.shard(shard);
        let left_out = self
            .left_out
            .with(Source::OtherShards, &self.ports.minus(&ports));
        if ports.is_empty() {
            return Err(PlanError::Empty {
                spec: self.spec,
                left_out,
            });
        }
        Ok(Self {
            ports,
            left_out,
            ..self
        })
    }
}
