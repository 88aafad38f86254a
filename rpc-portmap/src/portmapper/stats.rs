//! The counters behind `GETSTAT`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::rpc::{self, Procedure, Program};
use crate::rpcbind::stats::{
    AddressCount, AllStats, CallCounts, ForwardCount, PROCEDURES, VersionStats,
};
use crate::rpcbind::v2::CallArgs;
use crate::rpcbind::{Name, Netid, PROGRAM, v2};
use crate::server::{Caller, Layer, Rejection, Request};
use crate::xdr::List;

/// The most programs with counters of their own. Only programs that were found get one, so look-ups
/// of unregistered programs cannot fill the table.
const MOST: usize = 512;

/// The counters of all versions; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters(Arc<Mutex<[Version; 3]>>);

#[derive(Debug, Default)]
struct Version {
    calls: [i32; PROCEDURES],
    set: i32,
    unset: i32,
    addresses: HashMap<(Program, rpc::Version, Netid), Looked>,
    forwarded: HashMap<(Program, rpc::Version, Procedure), Forwarded>,
}

#[derive(Debug, Default)]
struct Looked {
    success: i32,
    failure: i32,
}

#[derive(Debug, Default)]
struct Forwarded {
    success: i32,
    failure: i32,
    indirect: i32,
}

impl Counters {
    /// Counts a registration that was accepted.
    pub(super) fn set(&self, version: rpc::Version) {
        self.with(version, |of| bump(&mut of.set));
    }

    /// Counts a registration that was removed.
    pub(super) fn unset(&self, version: rpc::Version) {
        self.with(version, |of| bump(&mut of.unset));
    }

    /// Counts a look-up.
    pub(super) fn look_up(
        &self,
        asked: rpc::Version,
        program: Program,
        version: rpc::Version,
        netid: Netid,
        found: bool,
    ) {
        self.with(asked, |of| {
            let key = (program, version, netid);
            let room = of.addresses.len() < MOST && found;
            if room || of.addresses.contains_key(&key) {
                let count = of.addresses.entry(key).or_default();
                bump(if found {
                    &mut count.success
                } else {
                    &mut count.failure
                });
            }
        });
    }

    /// Counts a forwarded call.
    pub(super) fn forward(
        &self,
        asked: rpc::Version,
        call: &CallArgs,
        indirect: bool,
        answered: bool,
    ) {
        self.with(asked, |of| {
            let key = (call.program, call.version, call.procedure);
            let room = of.forwarded.len() < MOST && answered;
            if room || of.forwarded.contains_key(&key) {
                let count = of.forwarded.entry(key).or_default();
                bump(if answered {
                    &mut count.success
                } else {
                    &mut count.failure
                });
                if indirect {
                    bump(&mut count.indirect);
                }
            }
        });
    }

    /// Returns all counters.
    pub(super) fn snapshot(&self) -> AllStats {
        AllStats(self.lock().each_ref().map(Version::snapshot))
    }

    fn with(&self, version: rpc::Version, change: impl FnOnce(&mut Version)) {
        let index =
            usize::try_from(version.get().wrapping_sub(v2::VERSION.get())).unwrap_or(usize::MAX);
        if let Some(of) = self.lock().get_mut(index) {
            change(of);
        }
    }

    fn lock(&self) -> MutexGuard<'_, [Version; 3]> {
        // Nothing panics while the lock is held, and the counters are valid at every moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Layer for Counters {
    fn before(&self, _: &Caller, request: &Request) -> Result<(), Rejection> {
        if request.program == PROGRAM {
            self.with(request.version, |of| {
                let procedure = usize::try_from(request.procedure.get()).unwrap_or(usize::MAX);
                if let Some(count) = of.calls.get_mut(procedure) {
                    bump(count);
                }
            });
        }
        Ok(())
    }
}

impl Version {
    fn snapshot(&self) -> VersionStats {
        let addresses = self.addresses.iter().map(|(key, counts)| AddressCount {
            program: key.0,
            version: key.1,
            success: counts.success,
            failure: counts.failure,
            netid: Name::truncated(key.2.name()),
        });
        let forwarded = self.forwarded.iter().map(|(key, counts)| ForwardCount {
            program: key.0,
            version: key.1,
            procedure: key.2,
            success: counts.success,
            failure: counts.failure,
            indirect: counts.indirect,
            netid: Name::truncated(Netid::Udp.name()),
        });
        let mut addresses: List<_> = addresses.collect();
        addresses.0.sort_by(|a, b| {
            (a.program, a.version, &a.netid).cmp(&(b.program, b.version, &b.netid))
        });
        VersionStats {
            calls: CallCounts(self.calls),
            set: self.set,
            unset: self.unset,
            addresses,
            forwarded: forwarded.collect(),
        }
    }
}

/// Increments and saturates at 31 bits, the width on the wire.
fn bump(count: &mut i32) {
    *count = count.saturating_add(1);
}
