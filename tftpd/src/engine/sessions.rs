//! All transfers of one thread, found by event, by client and by deadline.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use slab::Slab;

use crate::{
    net::{self, Arrival},
    proto::{Error, ErrorCode, Input},
};

use super::{
    Observer,
    committer::Committer,
    poller::Poller,
    reception::{Admission, Reception, Visit},
    record::{Cause, Record, Summary},
    session::{Next, Session, Workspace},
    timers::Timers,
};

/// Which transfer: its place, and a serial number that tells it from an earlier one there.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Key {
    slot: u32,
    serial: u32,
}

impl Key {
    pub(super) fn to_bits(self) -> u64 {
        u64::from(self.serial) << 32 | u64::from(self.slot)
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        let half = |bits| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        Self {
            slot: half(bits),
            serial: half(bits >> 32),
        }
    }
}

pub(super) struct Sessions {
    reception: Reception,
    observer: Observer,
    committer: Committer,
    slab: Slab<(u32, Session)>,
    /// By the client's transfer identifier: its address and port.
    by_client: HashMap<SocketAddr, Key>,
    timers: Timers,
    work: Workspace,
    serial: u32,
    digest: RandomState,
    summary: Summary,
}

/// An equal request from a client that acknowledged something this recently is an old one that
/// was late; after a longer pause the client has started over. Machines take seconds to reboot.
const LATE_DUPLICATE: Duration = Duration::from_secs(1);

impl Sessions {
    pub(super) fn new(reception: Reception, observer: Observer, committer: Committer) -> Self {
        Self {
            reception,
            observer,
            committer,
            slab: Slab::new(),
            by_client: HashMap::new(),
            timers: Timers::default(),
            work: Workspace::new(),
            serial: 0,
            digest: RandomState::new(),
            summary: Summary::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    pub(super) fn summary(&self) -> Summary {
        self.summary
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// A datagram came to a listening socket.
    pub(super) fn request(
        &mut self,
        arrival: &Arrival<'_>,
        listener: &UdpSocket,
        poller: &Poller,
        now: Instant,
    ) {
        let digest = self.digest.hash_one(arrival.bytes);
        if let Some(key) = self.by_client.get(&arrival.client).copied() {
            if self.is_same_request(key, digest, now) {
                return;
            }
            self.end(key, Some(Cause::Replaced), now);
        }
        let jitter_seed = u32::try_from(digest >> 32).unwrap_or(1);
        match self.reception.admit(
            arrival,
            Visit {
                now,
                digest,
                jitter_seed,
            },
        ) {
            Admission::Start(session) => self.start(*session, poller, now),
            Admission::Ignore(record) => self.note(record),
            Admission::Refuse(code, record) => {
                let mut packet = Vec::new();
                Error::new(code).encode(&mut packet);
                // Sent once, like any ERROR; the client will ask again if it is lost.
                let _ = net::reply(listener, &packet, arrival.local, arrival.client);
                self.note(record);
            }
        }
    }

    /// A transfer's socket has something to read.
    pub(super) fn readable(&mut self, key: Key, now: Instant) {
        if let Some(session) = find(&mut self.slab, key) {
            session.readable(&mut self.work, now);
            self.drive(key, now);
        }
    }

    /// Takes in what became of uploads.
    pub(super) fn committed(&mut self, now: Instant) {
        while let Some((key, result)) = self.committer.result() {
            if let Some(session) = find(&mut self.slab, key) {
                session.committed(result, now);
                self.drive(key, now);
            }
        }
    }

    /// Looks at the transfers whose time has come.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.pop(now) {
            let Some(session) = find(&mut self.slab, key) else {
                continue;
            };
            if session.queued != Some(at) {
                continue;
            }
            session.queued = None;
            session.handle(Input::Timer, now);
            self.drive(key, now);
        }
    }

    /// Ends everything, telling each client so.
    pub(super) fn abort_all(&mut self, code: ErrorCode, now: Instant) {
        let keys: Vec<_> = self.by_client.values().copied().collect();
        for key in keys {
            if let Some(session) = find(&mut self.slab, key) {
                session.handle(Input::Abort(code), now);
                self.drive(key, now);
            }
        }
    }

    /// Whether this is the request that a running transfer answers, come once more. Then its first
    /// reply goes out again if the client has not answered it.
    fn is_same_request(&mut self, key: Key, digest: u64, now: Instant) -> bool {
        let Some(session) = find(&mut self.slab, key) else {
            return false;
        };
        if session.about.request != digest {
            return false;
        }
        if session.is_half_open() {
            session.repeat_first_reply(now);
            self.drive(key, now);
            return true;
        }
        now < session.progress_at() + LATE_DUPLICATE
    }

    fn start(&mut self, session: Session, poller: &Poller, now: Instant) {
        // The top bit stays clear: the poller marks other events with it.
        self.serial = self.serial.wrapping_add(1) & (u32::MAX >> 1);
        let client = session.about.client;
        let slot = self.slab.insert((self.serial, session));
        let key = Key {
            slot: u32::try_from(slot).unwrap_or(u32::MAX),
            serial: self.serial,
        };
        self.by_client.insert(client, key);
        if let Some(session) = find(&mut self.slab, key)
            && let Err(error) = poller.add_session(&session.link.socket, key)
        {
            return self.end(key, Some(Cause::Io(error.to_string())), now);
        }
        self.drive(key, now);
    }

    fn drive(&mut self, key: Key, now: Instant) {
        let Some(session) = find(&mut self.slab, key) else {
            return;
        };
        match session.drive(&mut self.work, now) {
            Next::Wait => self.timers.arm(key, session.deadline, &mut session.queued),
            Next::Commit(upload) => self.committer.commit(key, upload),
            Next::End => self.end(key, None, now),
        }
    }

    /// Forgets a transfer: its port goes back before anybody hears of its end.
    fn end(&mut self, key: Key, cause: Option<Cause>, now: Instant) {
        let Some(slot) = find(&mut self.slab, key).map(|_| key.slot as usize) else {
            return;
        };
        let (_, mut session) = self.slab.remove(slot);
        if self.by_client.get(&session.about.client) == Some(&key) {
            self.by_client.remove(&session.about.client);
        }
        session.link.trouble = session.link.trouble.or(cause);
        self.note(session.into_record(now));
    }

    fn note(&mut self, record: impl Into<Option<Record>>) {
        if let Some(record) = record.into() {
            self.summary.count(&record.ending);
            (self.observer)(&record);
        }
    }
}

fn find(slab: &mut Slab<(u32, Session)>, key: Key) -> Option<&mut Session> {
    slab.get_mut(key.slot as usize)
        .and_then(|(serial, session)| (*serial == key.serial).then_some(session))
}
