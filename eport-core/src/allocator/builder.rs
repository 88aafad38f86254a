use super::{Allocator, BuildError, Policy};
use crate::plan::{Plan, PortSpec, plan};
use crate::reserved::{Reserved, Source};
use crate::set::PortSet;
use crate::shard::Shard;
use crate::system::Host;

/// Makes an [`Allocator`] from what the user asks for and what the host says.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is read or made before `plan` or `build` is called"]
pub struct Builder {
    spec: PortSpec,
    exclude: PortSet,
    shard: Option<Shard>,
    host: Host,
    policy: Policy,
}

impl Builder {
    /// Which ports to hand out; `auto` if this is not called.
    pub fn ports(self, spec: PortSpec) -> Self {
        Self { spec, ..self }
    }

    /// Ports never to hand out, in addition to those excluded before.
    pub fn exclude(self, ports: &PortSet) -> Self {
        Self {
            exclude: self.exclude.union(ports),
            ..self
        }
    }

    /// Which slice of the ports is handed out here, where several processes or machines divide them
    /// among themselves; all of them if this is not called.
    pub fn shard(self, shard: Shard) -> Self {
        Self {
            shard: Some(shard),
            ..self
        }
    }

    /// The host whose configuration counts; this machine if this is not called.
    pub fn host(self, host: Host) -> Self {
        Self { host, ..self }
    }

    /// How the allocator behaves.
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Reads the host and decides which ports would be handed out, without an allocator.
    ///
    /// # Errors
    /// [`BuildError`] when the host cannot be read or no port is left.
    pub fn plan(&self) -> Result<Plan, BuildError> {
        let reserved = Reserved::default()
            .with(Source::KernelReserved, &self.host.reserved_ports()?)
            .with(Source::User, &self.exclude);
        let plan = plan(&self.spec, self.host.ephemeral_range()?, &reserved)?;
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
        Allocator::new(self.plan()?, self.policy)
    }
}
