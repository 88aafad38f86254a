//! All transfers of one thread, found by event, by client and by deadline.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use slab::Slab;

use crate::{
    backend::{Content, OpenError},
    net::{self, Arrival},
    proto::{Error, ErrorCode, Input},
};

use super::{
    Observer,
    committer::Committer,
    control::Control,
    gate::{Caps, Census, Entry, Gate, Pass},
    parked::{Parked, Ready},
    poller::Poller,
    reception::{Reception, Visit},
    record::{Cause, Record, Refusal, Summary},
    session::{Next, Session, Workspace},
    strays::Strays,
    timers::Timers,
    waiting::Queue,
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
    slab: Slab<Seat>,
    /// By the client's transfer identifier: its address and port.
    by_client: HashMap<SocketAddr, Key>,
    gate: Gate,
    queue: Queue,
    parked: Parked,
    strays: Strays,
    timers: Timers,
    work: Workspace,
    serial: u32,
    closed: bool,
    digest: RandomState,
    summary: Summary,
}

/// A transfer in its place.
struct Seat {
    serial: u32,
    pass: Pass,
    session: Session,
}

/// Where requests come in and answers to them go out.
#[derive(Clone, Copy)]
pub(super) struct Doors<'a> {
    pub(super) listeners: &'a [Arc<UdpSocket>],
    pub(super) poller: &'a Poller,
}

/// An equal request from a client that acknowledged something this recently is an old one that
/// was late; after a longer pause the client has started over. Machines take seconds to reboot.
const LATE_DUPLICATE: Duration = Duration::from_secs(1);

impl Sessions {
    pub(super) fn new(
        reception: Reception,
        caps: Caps,
        census: Arc<Census>,
        observer: Observer,
        committer: Committer,
        control: Arc<Control>,
    ) -> Self {
        Self {
            reception,
            observer,
            committer,
            slab: Slab::new(),
            by_client: HashMap::new(),
            gate: Gate::new(caps, census),
            queue: Queue::new(caps.hold, caps.waiting),
            parked: Parked::new(caps.waiting, control),
            strays: Strays::new(),
            timers: Timers::default(),
            work: Workspace::new(),
            serial: 0,
            closed: false,
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
        [
            self.timers.next(),
            self.gate.next_expiry(),
            self.queue.next_look(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// A datagram came to the listening socket `door`.
    pub(super) fn heard(
        &mut self,
        arrival: &Arrival<'_>,
        door: usize,
        doors: Doors<'_>,
        now: Instant,
    ) {
        if !self.reception.is_from_a_client(arrival) {
            return;
        }
        let known = self.by_client.get(&arrival.client).copied();
        if !Reception::is_request(arrival) {
            return self.stray(arrival, known, doors.listeners.get(door), now);
        }
        let digest = self.digest.hash_one(arrival.bytes);
        if self.parked.holds(arrival.client, digest) {
            return;
        }
        if let Some(key) = known {
            if self.is_same_request(key, digest, now) {
                return;
            }
            self.end(key, Some(Cause::Replaced), now);
        }
        if let Err(refusal) = self.request(arrival, None, door, digest, doors, now)
            && !self.queue.push(arrival, door, refusal, now)
        {
            self.note(Reception::turned_away(arrival, refusal));
        }
    }

    /// Lets those in who wait, as far as there is room.
    pub(super) fn admit_waiting(&mut self, doors: Doors<'_>, now: Instant) {
        while let Some(waiting) = self.queue.next(now) {
            let digest = self.digest.hash_one(&waiting.bytes[..]);
            if self
                .request(&waiting.arrival(), None, waiting.door, digest, doors, now)
                .is_err()
            {
                return self.queue.put_back(waiting, now);
            }
        }
    }

    /// Begins the transfers whose content has been made meanwhile.
    pub(super) fn admit_ready(&mut self, doors: Doors<'_>, now: Instant) {
        while let Some(Ready { waiting, content }) = self.parked.ready() {
            let (arrival, digest) = (waiting.arrival(), self.digest.hash_one(&waiting.bytes[..]));
            if let Err(refusal) =
                self.request(&arrival, Some(content), waiting.door, digest, doors, now)
            {
                // The client asks again, and so does the queue.
                self.queue.push(&arrival, waiting.door, refusal, now);
            }
        }
    }

    /// No more transfers begin.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.queue.clear();
        self.parked.clear();
    }

    /// Whether transfers use the listening sockets.
    pub(super) fn share_listeners(&self) -> bool {
        self.reception.single_port
    }

    /// Begins the transfer that is asked for, or says why not; `Err` if there is no room now.
    fn request(
        &mut self,
        arrival: &Arrival<'_>,
        made: Option<Result<Content, OpenError>>,
        door: usize,
        digest: u64,
        doors: Doors<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let (Some(listener), false) = (doors.listeners.get(door), self.closed) else {
            return Ok(());
        };
        let pass = match self.gate.enter(arrival.client, now) {
            Entry::Open(pass, evicted) => {
                self.evict(evicted, Cause::Evicted, now);
                pass
            }
            Entry::Full => return Err(Refusal::Overload),
            Entry::Enough => {
                self.note(Reception::turned_away(arrival, Refusal::TooMany));
                return Ok(());
            }
        };
        let jitter_seed = u32::try_from(digest >> 32).unwrap_or(1);
        match self.reception.admit(
            arrival,
            made,
            listener,
            Visit {
                now,
                digest,
                jitter_seed,
            },
        ) {
            Ok(session) => self.start(pass, session, doors.poller, now),
            Err(no) => {
                self.gate.leave(pass);
                if let Some(later) = no.later {
                    let parked = self.parked.park(arrival, door, digest, later, now);
                    return if parked { Ok(()) } else { Err(no.refusal) };
                }
                if no.is_temporary() {
                    return Err(no.refusal);
                }
                if let Some(code) = no.code {
                    refuse(listener, arrival, code, no.text.as_deref());
                }
                self.note(no.into_record(arrival));
            }
        }
        Ok(())
    }

    /// Something that is no request came to the listening port.
    fn stray(
        &mut self,
        arrival: &Arrival<'_>,
        known: Option<Key>,
        listener: Option<&Arc<UdpSocket>>,
        now: Instant,
    ) {
        if let Some(key) = known
            && let Some(Seat { session, .. }) = find(&mut self.slab, key)
            && session.link.socket.is_shared()
        {
            session.handle(Input::Datagram(arrival.bytes), now);
            self.answered(key, now);
        } else if let (Some(code), Some(listener)) =
            (self.reception.answer_to_stray(arrival), listener)
            && self.strays.may_answer(arrival.client.ip(), now)
        {
            refuse(listener, arrival, code, None);
        }
    }

    /// A transfer's socket has something to read.
    pub(super) fn readable(&mut self, key: Key, now: Instant) {
        if let Some(seat) = find(&mut self.slab, key) {
            seat.session.readable(&mut self.work, now);
            self.answered(key, now);
        }
    }

    /// Takes in what became of uploads.
    pub(super) fn committed(&mut self, now: Instant) {
        while let Some((key, result)) = self.committer.result() {
            if let Some(Seat { session, .. }) = find(&mut self.slab, key) {
                session.committed(result, now);
                self.drive(key, now);
            }
        }
    }

    /// Looks at the transfers whose time has come.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.pop(now) {
            let Some(Seat { session, .. }) = find(&mut self.slab, key) else {
                continue;
            };
            if session.queued != Some(at) {
                continue;
            }
            session.queued = None;
            session.handle(Input::Timer, now);
            self.drive(key, now);
        }
        while let Some(client) = self.gate.expired(now) {
            self.evict(Some(client), Cause::NoAck, now);
        }
        while let Some(waiting) = self.queue.expired(now) {
            self.note(Reception::turned_away(&waiting.arrival(), waiting.refusal));
        }
    }

    /// Ends everything, telling each client so.
    pub(super) fn abort_all(&mut self, code: ErrorCode, now: Instant) {
        let keys: Vec<_> = self.by_client.values().copied().collect();
        for key in keys {
            if let Some(Seat { session, .. }) = find(&mut self.slab, key) {
                session.handle(Input::Abort(code), now);
                self.drive(key, now);
            }
        }
    }

    /// Whether this is the request that a running transfer answers, come once more. Then its first
    /// reply goes out again if the client has not answered it.
    fn is_same_request(&mut self, key: Key, digest: u64, now: Instant) -> bool {
        let Some(Seat { session, .. }) = find(&mut self.slab, key) else {
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

    fn start(&mut self, pass: Pass, session: Box<Session>, poller: &Poller, now: Instant) {
        // The top bit stays clear: the poller marks other events with it.
        self.serial = self.serial.wrapping_add(1) & (u32::MAX >> 1);
        let serial = self.serial;
        let client = session.about.client;
        let slot = self.slab.insert(Seat {
            serial,
            pass,
            session: *session,
        });
        let key = Key {
            slot: u32::try_from(slot).unwrap_or(u32::MAX),
            serial,
        };
        self.by_client.insert(client, key);
        if let Some(Seat { session, .. }) = find(&mut self.slab, key)
            && let Some(socket) = session.link.socket.socket()
            && let Err(error) = poller.add_session(socket, key)
        {
            return self.end(key, Some(Cause::Io(error.to_string())), now);
        }
        self.drive(key, now);
    }

    /// Something came from the client of a transfer.
    fn answered(&mut self, key: Key, now: Instant) {
        self.drive(key, now);
        if let Some(Seat { pass, session, .. }) = find(&mut self.slab, key)
            && pass.is_half_open()
            && !session.is_half_open()
        {
            self.gate.proven(pass);
        }
    }

    fn drive(&mut self, key: Key, now: Instant) {
        let Some(Seat { session, .. }) = find(&mut self.slab, key) else {
            return;
        };
        match session.drive(&mut self.work, now) {
            Next::Wait => self.timers.arm(key, session.deadline, &mut session.queued),
            Next::Commit(upload) => self.committer.commit(key, upload),
            Next::End => self.end(key, None, now),
        }
    }

    /// Ends the transfer of a client that has not answered.
    fn evict(&mut self, client: Option<SocketAddr>, cause: Cause, now: Instant) {
        if let Some(key) = client
            .and_then(|client| self.by_client.get(&client))
            .copied()
        {
            self.end(key, Some(cause), now);
        }
    }

    /// Forgets a transfer: its port goes back before anybody hears of its end.
    fn end(&mut self, key: Key, cause: Option<Cause>, now: Instant) {
        if find(&mut self.slab, key).is_none() {
            return;
        }
        let Seat {
            pass, mut session, ..
        } = self.slab.remove(key.slot as usize);
        self.gate.leave(pass);
        self.queue.look_again();
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

/// Sends an ERROR from a listening socket: a refusal costs no port. It goes out once, like any
/// ERROR; the client will ask again if it is lost.
fn refuse(listener: &UdpSocket, arrival: &Arrival<'_>, code: ErrorCode, text: Option<&[u8]>) {
    let text = text.unwrap_or(code.text().as_bytes());
    let mut packet = Vec::new();
    Error { code, text }.encode(&mut packet);
    let _ = net::reply(listener, &packet, arrival.local, arrival.client);
}

fn find(slab: &mut Slab<Seat>, key: Key) -> Option<&mut Seat> {
    slab.get_mut(key.slot as usize)
        .filter(|seat| seat.serial == key.serial)
}
