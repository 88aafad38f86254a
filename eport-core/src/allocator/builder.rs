use super::{Allocator, BuildError};
use crate::lease::Clock;
use crate::plan::{Overlap, Plan, PortSpec, plan_with};
use crate::pool::Limits;
use crate::reserved::Source;
use crate::set::PortSet;
use crate::system::{Host, Sources, now};

/// How an allocator behaves; the default suits a service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// Makes the draws repeat themselves, for tests and simulations. By default the system gives
    /// the seed, and a new one after 2^16 draws.
    pub seed: Option<[u8; 32]>,
    /// Where the time comes from; the system's clock by default.
    pub clock: Clock,
    /// How long refused ports rest, and for how many addresses ports are kept.
    pub limits: Limits,
    /// How many foreign ports one request tries before their time when nothing is free
    /// (default 64, about 30 µs).
    pub early_rechecks: u32,
}

impl Policy {
    /// The default, with draws that repeat themselves for the same seed.
    pub fn seeded(seed: [u8; 32]) -> Self {
        Self {
            seed: Some(seed),
            ..Self::default()
        }
    }

    /// The same policy with another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The same policy with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            seed: None,
            clock: Clock::new(now),
            limits: Limits::default(),
            early_rechecks: 64,
        }
    }
}

/// Makes an [`Allocator`] from what the user asks for and what the host says.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is read or made before `plan` or `build` is called"]
pub struct Builder {
    spec: PortSpec,
    exclude: PortSet,
    sources: Sources,
    overlap: Overlap,
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

    /// What the host is asked for ports that are not to be handed out; the default of [`Sources`]
    /// if this is not called.
    pub fn sources(self, sources: Sources) -> Self {
        Self { sources, ..self }
    }

    /// What to do about ports that the kernel hands out as well; [`Overlap::Allow`] if this is not
    /// called.
    pub fn overlap(self, overlap: Overlap) -> Self {
        Self { overlap, ..self }
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
    /// [`BuildError`] when the host cannot be read, no port is left, or an overlap is refused.
    pub fn plan(&self) -> Result<Plan, BuildError> {
        let reserved = self.sources.read(&self.host)?;
        let reserved = reserved.with(Source::User, &self.exclude);
        let ephemeral = self.host.ephemeral()?;
        Ok(plan_with(&self.spec, ephemeral, &reserved, self.overlap)?)
    }

    /// Reads the host and makes the allocator.
    ///
    /// # Errors
    /// [`BuildError`] when the host cannot be read, no port is left, or the system has no
    /// randomness.
    pub fn build(self) -> Result<Allocator, BuildError> {
        Allocator::new(self.plan()?, self.policy)
    }
}
