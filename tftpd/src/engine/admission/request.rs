//! Requests, decoded once: borrowed from a datagram, or kept while they wait.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{
    engine::record::{Ending, Record, Rejection},
    proto::{Direction, Mode, Options, Request, Terms},
};

/// A request with the circumstances of its arrival.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming<'a> {
    pub(super) request: Request<'a>,
    pub(super) path: ReplyPath,
    /// A digest of the datagram, by which a repeated request is recognized.
    pub(super) digest: u64,
}

/// The way of a reply from a listening socket to a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ReplyPath {
    /// The index of the listening socket.
    pub(crate) listener: usize,
    /// The address that the request was sent to.
    pub(crate) local: SocketAddr,
    pub(crate) client: SocketAddr,
}

/// A request that waits for its content or for a free transfer.
#[derive(Debug)]
pub(super) struct WaitingRequest {
    direction: Direction,
    filename: Box<[u8]>,
    mode: Mode,
    options: Options,
    pub(super) path: ReplyPath,
    pub(super) digest: u64,
    /// The reason for the wait, and for the rejection afterwards.
    pub(super) reason: Rejection,
    pub(super) until: Instant,
}

impl Incoming<'_> {
    /// Copies the request, to wait until `until`.
    pub(super) fn to_waiting(self, reason: Rejection, until: Instant) -> WaitingRequest {
        let request = self.request;
        WaitingRequest {
            direction: request.direction,
            filename: request.filename.into(),
            mode: request.mode,
            options: request.options,
            path: self.path,
            digest: self.digest,
            reason,
            until,
        }
    }

    /// Returns the record of a rejection.
    pub(super) fn record(&self, reason: Rejection) -> Record {
        Record {
            client: self.path.client,
            local: self.path.local,
            direction: self.request.direction,
            path: self.request.filename.into(),
            file: None,
            size: None,
            elapsed: Duration::ZERO,
            terms: Terms::default(),
            resent: 0,
            ending: Ending::Rejected(reason),
        }
    }
}

impl WaitingRequest {
    pub(super) fn incoming(&self) -> Incoming<'_> {
        Incoming {
            request: Request {
                direction: self.direction,
                filename: &self.filename,
                mode: self.mode,
                options: self.options,
            },
            path: self.path,
            digest: self.digest,
        }
    }
}
