//! The state that all versions share: registry, journal, counters, forwarding.

mod portmap2;
mod rpcbind;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::forward::Forwarding;
use super::host::LocalHost;
use super::journal::Journal;
use super::liveness_cache::{CachedHost, LivenessCache};
use super::procedures::RpcbList;
use super::stats::Counters;
use crate::registry::{Authority, Claim, ClaimError, Host, Registration, Registry, RegistryError};
use crate::rpc::{Program, RpcError, Version};
use crate::rpcbind::v2::CallArgs;
use crate::rpcbind::{Name, Netid, Rpcb, UniversalAddress, v2};
use crate::server::{Caller, Peer};
use crate::transport::now;
use crate::xdr::Xdr;

/// Source ports of the loopback interface below this one can be bound by root only.
const SYSTEM_PORTS: u16 = 1024;

/// The longest time for which a list may show services that have ended.
const FRESH: Duration = Duration::from_secs(1);

/// The portmapper as the procedures use it.
#[derive(Debug)]
pub(super) struct Service {
    state: Mutex<State>,
    pub(super) host: LocalHost,
    pub(super) counters: Counters,
    forwarding: Option<Forwarding>,
    /// The first port that unprivileged processes may bind to.
    first_unprivileged_port: u16,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) registry: Registry,
    journal: Option<Journal>,
    liveness: LivenessCache,
    /// The time of the last sweep.
    swept: Option<Instant>,
    /// The encoded list of the last DUMP, if nothing has changed since: lists are requested much
    /// more often than they change.
    list: Option<Vec<u8>>,
}

fn encoded(registry: &Registry) -> Vec<u8> {
    let mut bytes = Vec::new();
    for registration in registry.iter() {
        true.encode(&mut bytes);
        registration.put_rpcb(&mut bytes);
    }
    false.encode(&mut bytes);
    bytes.shrink_to_fit();
    bytes
}

impl Service {
    pub(super) fn new(
        registry: Registry,
        journal: Option<Journal>,
        host: LocalHost,
        forwarding: Option<Forwarding>,
    ) -> Self {
        let setting = super::files::text("/proc/sys/net/ipv4/ip_unprivileged_port_start");
        let first = setting.and_then(|text| text.trim().parse().ok());
        Self {
            state: Mutex::new(State {
                registry,
                journal,
                liveness: LivenessCache::new(),
                swept: None,
                list: None,
            }),
            host,
            counters: Counters::default(),
            forwarding,
            first_unprivileged_port: first.unwrap_or(SYSTEM_PORTS).min(SYSTEM_PORTS),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().registry.len()
    }

    pub(super) fn sweep(&self) {
        self.lock().sweep(&self.host, now());
    }

    pub(super) fn register(
        &self,
        caller: &Caller,
        asked: Version,
        claim: Result<Claim, ClaimError>,
    ) -> bool {
        let by = self.authority(caller);
        let mut state = self.lock();
        let outcome = claim
            .map_err(RegistryError::from)
            .and_then(|claim| state.registry.set(claim, by, &self.host));
        state.save_changes();
        match outcome {
            Ok(accepted) => {
                debug!(?accepted, ?by, "registered");
                self.counters.set(asked);
                true
            }
            Err(error) => {
                debug!(reason = error.label(), ?by, "not registered: {error}");
                false
            }
        }
    }

    pub(super) fn unregister(
        &self,
        caller: &Caller,
        asked: Version,
        program: Program,
        version: Version,
        netids: &[Netid],
    ) -> bool {
        let by = self.authority(caller);
        let mut state = self.lock();
        let outcome = state
            .registry
            .unset(program, version, netids, by, &self.host);
        state.save_changes();
        match outcome {
            Ok(removed) => {
                let (program, version) = (program.get(), version.get());
                debug!(program, version, ?removed, ?by, "unregistered");
                let done = removed.removed > 0 || removed.refused == 0;
                if done {
                    self.counters.unset(asked);
                }
                done
            }
            Err(error) => {
                debug!(reason = error.label(), ?by, "not unregistered: {error}");
                false
            }
        }
    }

    /// Returns the address of a program for this caller; empty if there is none.
    pub(super) fn address(
        &self,
        caller: &Caller,
        asked: Version,
        request: &Rpcb,
        exact: bool,
    ) -> Name {
        let Some(netid) = asked_netid(caller, request) else {
            return Name::default();
        };
        let (program, version) = (request.program, request.version);
        let found = self.look_up(program, version, netid, exact);
        self.counters
            .look_up(asked, program, version, netid, found.is_some());
        let Some(found) = found else {
            return Name::default();
        };
        let merged = self.merged(caller, request, &found.claim.address);
        Name::truncated(&merged.to_string())
    }

    pub(super) fn look_up(
        &self,
        program: Program,
        version: Version,
        netid: Netid,
        exact: bool,
    ) -> Option<Registration> {
        let mut state = self.lock();
        let State {
            registry, liveness, ..
        } = &mut *state;
        let host = CachedHost::new(&self.host, liveness, now());
        let found = if exact {
            registry.exact(program, version, netid, &host)
        } else {
            registry.find(program, version, netid, &host)
        };
        let found = found.cloned();
        state.save_changes();
        found
    }

    /// Returns the address as the caller can use it: the wildcard becomes the address at which the
    /// caller reached this machine. Over a unix socket there is none; the caller's hint replaces it
    /// (RFC 1833 §2.2.1), if it is an address of this machine.
    pub(super) fn merged(
        &self,
        caller: &Caller,
        request: &Rpcb,
        address: &UniversalAddress,
    ) -> UniversalAddress {
        let hint = || {
            let netid: Netid = request.netid.parse().ok()?;
            let hint = UniversalAddress::parse(netid, &request.address).ok()?;
            let ip = hint.socket_addr()?.ip();
            self.host.is_local(ip).then_some(ip)
        };
        match caller.local().or_else(hint) {
            Some(asked) => address.merged(asked),
            None => address.clone(),
        }
    }

    /// Returns the state without ended services, swept at most [`FRESH`] ago.
    pub(super) fn swept(&self) -> MutexGuard<'_, State> {
        let now = now();
        let mut state = self.lock();
        let age = state
            .swept
            .map(|swept| now.saturating_duration_since(swept));
        if age.is_none_or(|age| age >= FRESH) {
            state.sweep(&self.host, now);
        }
        state
    }

    pub(super) fn dump(&self) -> RpcbList {
        let mut state = self.swept();
        let State { registry, list, .. } = &mut *state;
        RpcbList(list.get_or_insert_with(|| encoded(registry)).clone())
    }

    pub(super) async fn forward(
        &self,
        caller: &Caller,
        asked: Version,
        call: CallArgs,
        indirect: bool,
    ) -> Result<(UniversalAddress, v2::CallResult), RpcError> {
        // Without forwarding these procedures do not exist.
        let forwarding = self.forwarding.as_ref().ok_or(RpcError::ProcUnavail)?;
        if !forwarding.admits(caller, &call) {
            return Err(RpcError::SystemErr);
        }
        let found = self
            .look_up(call.program, call.version, Netid::Udp, false)
            .ok_or(RpcError::SystemErr)?;
        let port = found.claim.address.port().ok_or(RpcError::SystemErr)?;
        let counted = call.clone();
        let results = forwarding.call(port, call).await;
        self.counters
            .forward(asked, &counted, indirect, results.is_some());
        let result = v2::CallResult {
            port: port.into(),
            results: results.ok_or(RpcError::SystemErr)?,
        };
        Ok((
            self.merged(caller, &Rpcb::default(), &found.claim.address),
            result,
        ))
    }

    fn authority(&self, caller: &Caller) -> Authority {
        match caller.peer() {
            Peer::Unix { uid, .. } => Authority::Uid(uid),
            Peer::Ip(address) if !caller.is_this_machine() => {
                debug!(%address, "a change from another machine");
                Authority::Remote
            }
            Peer::Ip(address) if address.port() < self.first_unprivileged_port => Authority::Uid(0),
            Peer::Ip(_) => Authority::Loopback,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock would be a bug of the registry, whose state is valid between any
        // two steps: serving on is better than stopping the lookups of the whole machine.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn sweep(&mut self, host: &LocalHost, now: Instant) {
        self.swept = Some(now);
        let gone = self.registry.sweep(host);
        self.save_changes();
        if gone > 0 {
            info!(gone, "removed services that ended without unregistering");
        }
    }

    /// Stores the changes. If that fails the registrations stay valid while the process runs, and
    /// the next change writes all of them.
    pub(super) fn save_changes(&mut self) {
        let changes = self.registry.take_changes();
        if !changes.is_empty() {
            self.list = None;
        }
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.record(&changes, &self.registry)
        {
            warn!(%error, "cannot save registrations; a restart would lose them");
        }
    }
}

/// Returns the requested transport: over IP that of the call, regardless of the request (RFC 1833
/// §2.2.1), over a unix socket the one in the request.
fn asked_netid(caller: &Caller, request: &Rpcb) -> Option<Netid> {
    match caller.transport() {
        Netid::Local if !request.netid.is_empty() => request.netid.parse().ok(),
        transport => Some(transport),
    }
}
