//! Admission: from a datagram on a listening socket to a verdict.
//!
//! A request is decoded once, into a value that is carried from here to the transfer, the queue or
//! the record. The order of the checks is: the sender's address; the packet; a request whose content
//! is pending; a running transfer of the client; the limits; and [`accept`], which opens the file
//! and the channel. Nothing is sent from here: the engine carries out the [`Verdict`].

mod accept;
mod error_limit;
pub(crate) mod limits;
mod not_a_request;
mod pending;
mod queue;
mod rejection;
mod request;
#[cfg(test)]
mod tests;

use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

pub(crate) use accept::Service;
pub(crate) use pending::Waker;
pub(crate) use request::ReplyPath;

use super::{
    id::TransferId,
    record::{Cause, Record, Rejection},
    transfer::{Transfer, channel::OpenChannel},
};
use crate::{
    backend::{Content, OpenError},
    net::{self, Arrival},
    proto::{ErrorCode, Packet},
};
use accept::Acceptor;
use error_limit::ErrorRateLimit;
use limits::{Caps, Grant, TransferCount, TransferLimits, TransferPermit};
use pending::{PendingContent, ReadyRequest};
use queue::RequestQueue;
use rejection::{AcceptError, RequestError};
use request::Incoming;

/// The action that a datagram on a listening socket leads to.
///
/// A transfer that is replaced or evicted has been ended through [`Running`] by then, so that its
/// port, its permit and its file were free for the request. That holds for a rejected request, too.
pub(crate) enum Verdict<C> {
    /// Do nothing.
    Ignore,
    /// Deliver the datagram to this transfer, which uses the listening socket.
    Deliver(TransferId),
    /// Repeat the first reply of this transfer: its request was received again.
    Repeat(TransferId),
    /// Start this transfer.
    Start(Box<Transfer<C>>, TransferPermit),
    /// Do nothing: the request waits, in the queue or for its content.
    Wait,
    /// Reject the datagram.
    Reject(Reject),
}

/// A rejection: an answer, a record, or both.
#[derive(Debug)]
pub(crate) struct Reject {
    pub(crate) path: ReplyPath,
    /// The code of the ERROR; `None` for no answer.
    pub(crate) code: Option<ErrorCode>,
    /// The text of the ERROR, if it differs from that of the RFC.
    pub(crate) text: Option<Vec<u8>>,
    /// `None` for a datagram that is no valid request.
    pub(crate) record: Option<Box<Record>>,
}

/// The running transfers, as far as admission depends on them.
pub(crate) trait Running {
    /// Returns the transfer of `client`.
    fn find(&self, client: SocketAddr) -> Option<Known>;

    /// Ends the transfer of `client`; its port, permit and file are free afterwards.
    fn end(&mut self, client: SocketAddr, cause: Cause, now: Instant);
}

/// A running transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) id: TransferId,
    /// The digest of its request.
    pub(crate) digest: u64,
    pub(crate) is_half_open: bool,
    pub(crate) progress_at: Instant,
    /// It uses the listening socket.
    pub(crate) is_shared: bool,
}

/// Decides on the datagrams of a thread's listening sockets.
pub(crate) struct Admission<O> {
    acceptor: Acceptor<O>,
    limits: TransferLimits,
    queue: RequestQueue,
    pending: PendingContent,
    errors: ErrorRateLimit,
    hasher: RandomState,
    is_closed: bool,
}

/// An equal request within this time after progress is a late duplicate; after a longer pause the
/// client has started over. Machines take seconds to reboot.
const LATE_DUPLICATE: Duration = Duration::from_secs(1);

/// The port of TFTP servers (RFC 1350, appendix I). lwIP's client sends its requests from it, too.
const SERVER_PORT: u16 = 69;

impl<O: OpenChannel> Admission<O> {
    pub(crate) fn new(
        service: Service,
        channels: O,
        caps: Caps,
        count: Arc<TransferCount>,
        wake: Waker,
    ) -> Self {
        Self {
            acceptor: Acceptor::new(service, channels),
            limits: TransferLimits::new(caps, count),
            queue: RequestQueue::new(caps.hold, caps.waiting),
            pending: PendingContent::new(caps.waiting, wake),
            errors: ErrorRateLimit::new(),
            hasher: net::random_state(),
            is_closed: false,
        }
    }

    /// Decides on a datagram that was received on the listening socket with this index.
    pub(crate) fn on_datagram(
        &mut self,
        arrival: &Arrival<'_>,
        listener: usize,
        running: &mut impl Running,
        now: Instant,
    ) -> Verdict<O::Channel> {
        if !self.is_from_a_client(arrival) {
            return Verdict::Ignore;
        }
        let client = arrival.client;
        let path = ReplyPath {
            listener,
            local: arrival.local,
            client,
        };
        let known = running.find(client);
        if !is_request(arrival) {
            return self.on_other_packet(arrival.bytes, path, known, now);
        }
        let Ok(Packet::Request(request)) = Packet::decode(arrival.bytes) else {
            return self.on_malformed(path, running, now);
        };
        let digest = self.hasher.hash_one(arrival.bytes);
        if self.pending.contains(client, digest) {
            return Verdict::Ignore;
        }
        if let Some(known) = known {
            if known.digest == digest {
                if known.is_half_open {
                    return Verdict::Repeat(known.id);
                }
                if now < known.progress_at + LATE_DUPLICATE {
                    return Verdict::Ignore;
                }
            }
            running.end(client, Cause::Replaced, now);
        }
        let incoming = Incoming {
            request,
            path,
            digest,
        };
        match self.request(&incoming, None, running, now) {
            Ok(verdict) => verdict,
            Err(reason) if self.queue.push(&incoming, reason, now) => Verdict::Wait,
            Err(reason) => silent(&incoming, reason),
        }
    }

    /// Returns the verdict on the next request whose content is ready.
    pub(crate) fn next_ready(
        &mut self,
        running: &mut impl Running,
        now: Instant,
    ) -> Option<Verdict<O::Channel>> {
        let ReadyRequest { waiting, content } = self.pending.next()?;
        let incoming = waiting.incoming();
        let verdict = self.request(&incoming, Some(content), running, now);
        Some(verdict.unwrap_or_else(|reason| {
            // If the queue is full, the client repeats its request.
            self.queue.push(&incoming, reason, now);
            Verdict::Wait
        }))
    }

    /// Returns the verdict on the next request of the queue, if there is capacity for it.
    pub(crate) fn next_queued(
        &mut self,
        running: &mut impl Running,
        now: Instant,
    ) -> Option<Verdict<O::Channel>> {
        let waiting = self.queue.next(now)?;
        let verdict = self.request(&waiting.incoming(), None, running, now).ok();
        if verdict.is_none() {
            self.queue.put_back(waiting, now);
        }
        verdict
    }

    /// Returns the record of the next request that has waited too long.
    pub(crate) fn next_expired(&mut self, now: Instant) -> Option<Record> {
        let waiting = self.queue.expired(now)?;
        Some(waiting.incoming().record(waiting.reason))
    }

    /// Ends the half-open transfers that have waited too long for an answer.
    pub(crate) fn expire_half_open(&mut self, running: &mut impl Running, now: Instant) {
        while let Some(client) = self.limits.expired(now) {
            running.end(client, Cause::NoAck, now);
        }
    }

    /// Allows the queue to retry: a transfer has ended.
    pub(crate) fn on_transfer_end(&mut self) {
        self.queue.retry();
    }

    /// Returns the time at which a request or a half-open transfer is due next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        [self.limits.next_expiry(), self.queue.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Drops all waiting requests and accepts no more.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        self.queue.clear();
        self.pending.clear();
    }

    /// Returns true if a client may have sent this. Broadcasts are dropped unless they are enabled
    /// (RFC 1123 §4.2.3.5). From the port of a server only requests are taken: two servers that answered
    /// each other's other packets would not stop. Datagrams from port 0, from the listener itself, and
    /// to a multicast address of IPv6, which do not name the address to reply from, are always dropped.
    fn is_from_a_client(&self, arrival: &Arrival<'_>) -> bool {
        let is_broadcast_served =
            self.acceptor.service.broadcast && !arrival.local.ip().is_multicast();
        let port = arrival.client.port();
        let is_server_port = [SERVER_PORT, arrival.local.port()].contains(&port);
        (arrival.unicast || is_broadcast_served)
            && port != 0
            && arrival.client != arrival.local
            && (is_request(arrival) || !is_server_port)
    }

    /// Decides on a request. `Err` if there is no capacity at the moment.
    fn request(
        &mut self,
        incoming: &Incoming<'_>,
        content: Option<Result<Content, OpenError>>,
        running: &mut impl Running,
        now: Instant,
    ) -> Result<Verdict<O::Channel>, Rejection> {
        if self.is_closed {
            return Ok(Verdict::Ignore);
        }
        let permit = match self.acquire(incoming.path.client, running, now) {
            Ok(permit) => permit,
            Err(Rejection::TooMany) => return Ok(silent(incoming, Rejection::TooMany)),
            Err(reason) => return Err(reason),
        };
        match self.acceptor.accept(incoming, content, now) {
            Ok(transfer) => Ok(Verdict::Start(transfer, permit)),
            Err(AcceptError::Busy(reason)) => Err(reason),
            Err(AcceptError::Pending(content)) => {
                if self.pending.insert(incoming, content, now) {
                    Ok(Verdict::Wait)
                } else {
                    Err(Rejection::Busy)
                }
            }
            Err(AcceptError::Rejected(error)) => Ok(rejected(incoming, error)),
        }
    }

    /// Acquires a permit, and ends the half-open transfer that is evicted for it.
    fn acquire(
        &mut self,
        client: SocketAddr,
        running: &mut impl Running,
        now: Instant,
    ) -> Result<TransferPermit, Rejection> {
        match self.limits.acquire(client, now) {
            Grant::Permit(permit, evicted) => {
                if let Some(evicted) = evicted {
                    running.end(evicted, Cause::Evicted, now);
                }
                Ok(permit)
            }
            Grant::Full => Err(Rejection::Overload),
            Grant::TooMany => Err(Rejection::TooMany),
        }
    }
}

/// Returns true if the opcode is that of a RRQ or a WRQ.
fn is_request(arrival: &Arrival<'_>) -> bool {
    matches!(arrival.bytes, [0, 1 | 2, ..])
}

/// A rejection without an answer.
fn silent<C>(incoming: &Incoming<'_>, reason: Rejection) -> Verdict<C> {
    rejected(incoming, RequestError::new(reason, None))
}

fn rejected<C>(incoming: &Incoming<'_>, error: RequestError) -> Verdict<C> {
    let record = Record {
        file: error.file,
        ..incoming.record(error.reason)
    };
    Verdict::Reject(Reject {
        path: incoming.path,
        code: error.code,
        text: error.text,
        record: Some(Box::new(record)),
    })
}
