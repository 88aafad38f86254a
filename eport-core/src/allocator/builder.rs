use super::{Allocator, BuildError, PortPolicy};
use crate::plan::{Overlap, Plan, PortSpec, plan_with};
use crate::ports::{PortSet, Shard, Source};
use crate::system::{Host, Sources};

/// Makes an [`Allocator`] from the settings of the caller and the configuration of the host.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is read or made before `plan` or `build` is called"]
pub struct AllocatorBuilder {
    spec: PortSpec,
    exclude: PortSet,
    sources: Sources,
    overlap: Overlap,
    shard: Option<Shard>,
    host: Host,
    policy: PortPolicy,
}

impl AllocatorBuilder {
    /// Sets the ports to hand out; `auto` if this is not called.
    pub fn ports(self, spec: PortSpec) -> Self {
        Self { spec, ..self }
    }

    /// Adds ports never to hand out, in addition to those excluded before.
    pub fn exclude(self, ports: &PortSet) -> Self {
        Self {
            exclude: self.exclude.union(ports),
            ..self
        }
    }

    /// Sets the sources of reservations that are read from the host; the default of [`Sources`]
    /// if this is not called.
    pub fn sources(self, sources: Sources) -> Self {
        Self { sources, ..self }
    }

    /// Sets the treatment of ports that the kernel hands out as well; [`Overlap::Allow`] if this is not
    /// called.
    pub fn overlap(self, overlap: Overlap) -> Self {
        Self { overlap, ..self }
    }

    /// Sets the slice of the ports that is handed out here, where several processes or machines divide
    /// them; all of them if this is not called.
    pub fn shard(self, shard: Shard) -> Self {
        Self {
            shard: Some(shard),
            ..self
        }
    }

    /// Sets the host whose configuration counts; this machine if this is not called.
    pub fn host(self, host: Host) -> Self {
        Self { host, ..self }
    }

    /// Sets the behaviour of the allocator.
    pub fn policy(self, policy: PortPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Reads the host and decides which ports would be handed out, without an allocator.
    ///
    /// # Errors
    /// [`BuildError`] when the host cannot be read, no port is left, or an overlap is refused.
    pub fn plan(&self) -> Result<Plan, BuildError> {
        let reserved = self.sources.read(&self.host)?;
        let reserved = reserved.with(Source::User, &self.exclude);
        let ephemeral = self.host.ephemeral()?;
        let plan = plan_with(&self.spec, ephemeral, &reserved, self.overlap)?;
        match self.shard {
            Some(shard) => Ok(plan.shard(shard)?),
            None => Ok(plan),
        }
    }

    /// Reads the host and makes the allocator.
    ///
    /// # Errors
    /// [`BuildError`] when the host cannot be read, no port is left, the system has no randomness,
    /// or its kernel cannot do what the policy asks for.
    pub fn build(self) -> Result<Allocator, BuildError> {
        let plan = self.plan()?;
        let sockets = self.sources.read_sockets(&self.host)?;
        let allocator = Allocator::new(plan, self.policy)?;
        if let Some(sockets) = sockets {
            allocator.mark_sockets(&sockets);
        }
        Ok(allocator)
    }
}
