//! The answer to a datagram that is no valid request: an unknown opcode, a packet of a transfer, or a
//! request that cannot be decoded.

use std::time::Instant;

use super::{Admission, Known, Reject, ReplyPath, Running, Verdict};
use crate::{
    engine::transfer::channel::OpenChannel,
    proto::{DecodeError, ErrorCode, Packet},
};

impl<O: OpenChannel> Admission<O> {
    /// Decides on a datagram that is no request. An ERROR is never answered: two servers that
    /// answered each other's ERRORs would not stop.
    pub(super) fn on_other_packet(
        &mut self,
        datagram: &[u8],
        path: ReplyPath,
        known: Option<Known>,
        now: Instant,
    ) -> Verdict<O::Channel> {
        if let Some(known) = known.filter(|known| known.is_shared) {
            return Verdict::Deliver(known.id);
        }
        let code = match Packet::decode(datagram) {
            Err(DecodeError::UnknownOpcode(_)) => ErrorCode::IllegalOperation,
            // Without ports of their own, an unknown transfer has ended or never existed.
            Ok(Packet::Data(_) | Packet::Ack(_)) if self.acceptor.service.single_port => {
                ErrorCode::UnknownTransferId
            }
            _ => return Verdict::Ignore,
        };
        if self.errors.allow(path.client.ip(), now) {
            error(path, code)
        } else {
            Verdict::Ignore
        }
    }

    /// Decides on a request that cannot be decoded. It is answered only within the limits, and
    /// never waits.
    pub(super) fn on_malformed(
        &mut self,
        path: ReplyPath,
        running: &mut impl Running,
        now: Instant,
    ) -> Verdict<O::Channel> {
        if self.is_closed {
            return Verdict::Ignore;
        }
        match self.acquire(path.client, running, now) {
            Ok(_permit) => error(path, ErrorCode::IllegalOperation),
            Err(_) => Verdict::Ignore,
        }
    }
}

/// An ERROR with the text of the RFC for a datagram that is no valid request.
fn error<C>(path: ReplyPath, code: ErrorCode) -> Verdict<C> {
    Verdict::Reject(Reject {
        path,
        code: Some(code),
        text: None,
        record: None,
    })
}
