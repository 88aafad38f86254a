//! The table of a thread's transfers: by identifier, by client and by deadline.

use std::{collections::HashMap, io, net::SocketAddr, time::Instant};

use slab::Slab;

use super::{
    admission::{Known, Running, limits::TransferPermit},
    id::{Serials, TransferId},
    record::{Cause, Record},
    timers::Timers,
    transfer::{Next, Transfer, Workspace, channel::Channel, commit::Commit},
};
use crate::{
    backend::StoreError,
    proto::{ErrorCode, Input},
};

/// All transfers of one thread.
///
/// Records of ended transfers and files to commit are collected here for the engine, which takes
/// them at the end of each turn: by then the port and the permit of an ended transfer are free.
pub(crate) struct Transfers<C> {
    slab: Slab<Slot<C>>,
    /// By the client's transfer identifier: its address and port.
    by_client: HashMap<SocketAddr, TransferId>,
    timers: Timers,
    serials: Serials,
    work: Workspace,
    ended: Vec<Record>,
    commits: Vec<Commit>,
}

struct Slot<C> {
    serial: u32,
    transfer: Transfer<C>,
    permit: TransferPermit,
    /// The time of the next check by the timers; see [`Timers::arm`].
    queued: Option<Instant>,
}

impl<C: Channel> Transfers<C> {
    pub(crate) fn new() -> Self {
        Self {
            slab: Slab::new(),
            by_client: HashMap::new(),
            timers: Timers::default(),
            serials: Serials::default(),
            work: Workspace::new(),
            ended: Vec::new(),
            commits: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// Returns the time of the next [`expire`](Self::expire).
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Adds a transfer and sends its first packet. `watch` registers its channel for events.
    pub(crate) fn start(
        &mut self,
        transfer: Transfer<C>,
        permit: TransferPermit,
        watch: impl FnOnce(&C, TransferId) -> io::Result<()>,
        now: Instant,
    ) {
        let serial = self.serials.next();
        let client = transfer.about().client;
        let slot = self.slab.insert(Slot {
            serial,
            transfer,
            permit,
            queued: None,
        });
        let id = TransferId::new(slot, serial);
        self.by_client.insert(client, id);
        let watched = match self.get(id) {
            Some(slot) => watch(slot.transfer.channel(), id),
            None => Ok(()),
        };
        match watched {
            Ok(()) => self.drive(id, now),
            Err(error) => self.remove(id, Some(Cause::Io(error.to_string())), now),
        }
    }

    /// Receives a datagram from the channel of a transfer.
    pub(crate) fn on_readable(&mut self, id: TransferId, now: Instant) {
        if let Some(slot) = find(&mut self.slab, id) {
            slot.transfer.on_readable(&mut self.work, now);
            self.on_activity(id, now);
        }
    }

    /// Delivers a datagram that was received on the listening socket.
    pub(crate) fn on_datagram(&mut self, id: TransferId, datagram: &[u8], now: Instant) {
        if let Some(slot) = find(&mut self.slab, id) {
            slot.transfer.handle(Input::Datagram(datagram), now);
            self.on_activity(id, now);
        }
    }

    /// Repeats the first reply, after a repeated request.
    pub(crate) fn repeat_first_reply(&mut self, id: TransferId, now: Instant) {
        if let Some(slot) = find(&mut self.slab, id) {
            slot.transfer.repeat_first_reply(now);
            self.drive(id, now);
        }
    }

    /// Passes the result of a commit to its transfer.
    pub(crate) fn committed(
        &mut self,
        id: TransferId,
        result: Result<(), StoreError>,
        now: Instant,
    ) {
        if let Some(slot) = find(&mut self.slab, id) {
            slot.transfer.committed(result, now);
            self.drive(id, now);
        }
    }

    /// Handles the deadlines that have passed.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((at, id)) = self.timers.pop(now) {
            let Some(slot) = find(&mut self.slab, id) else {
                continue;
            };
            if slot.queued != Some(at) {
                continue;
            }
            slot.queued = None;
            slot.transfer.handle(Input::Timer, now);
            self.drive(id, now);
        }
    }

    /// Ends all transfers with an ERROR.
    pub(crate) fn abort_all(&mut self, code: ErrorCode, now: Instant) {
        let ids: Vec<_> = self.by_client.values().copied().collect();
        for id in ids {
            if let Some(slot) = find(&mut self.slab, id) {
                slot.transfer.handle(Input::Abort(code), now);
                self.drive(id, now);
            }
        }
    }

    /// Takes the next record of an ended transfer, in the order of their ends.
    pub(crate) fn take_ended(&mut self) -> std::vec::Drain<'_, Record> {
        self.ended.drain(..)
    }

    /// Takes the files to commit.
    pub(crate) fn take_commits(&mut self) -> std::vec::Drain<'_, Commit> {
        self.commits.drain(..)
    }

    /// Drives a transfer whose client has sent something, and settles its half-open permit once
    /// the client has answered.
    fn on_activity(&mut self, id: TransferId, now: Instant) {
        self.drive(id, now);
        if let Some(slot) = find(&mut self.slab, id)
            && slot.permit.is_half_open()
            && !slot.transfer.is_half_open()
        {
            slot.permit.settle();
        }
    }

    fn drive(&mut self, id: TransferId, now: Instant) {
        let Some(slot) = find(&mut self.slab, id) else {
            return;
        };
        match slot.transfer.drive(&mut self.work, now) {
            Next::Wait => self
                .timers
                .arm(id, slot.transfer.deadline(), &mut slot.queued),
            Next::Commit(upload) => self.commits.push((id, upload)),
            Next::End => self.remove(id, None, now),
        }
    }

    /// Removes a transfer. Its port and permit are given back here.
    fn remove(&mut self, id: TransferId, cause: Option<Cause>, now: Instant) {
        if self.get(id).is_none() {
            return;
        }
        let slot = self.slab.remove(id.slot());
        let client = slot.transfer.about().client;
        if self.by_client.get(&client) == Some(&id) {
            self.by_client.remove(&client);
        }
        self.ended.push(slot.transfer.into_record(cause, now));
    }

    fn get(&self, id: TransferId) -> Option<&Slot<C>> {
        let slot = self.slab.get(id.slot());
        slot.filter(|slot| slot.serial == id.serial())
    }
}

impl<C: Channel> Running for Transfers<C> {
    fn find(&self, client: SocketAddr) -> Option<Known> {
        let id = *self.by_client.get(&client)?;
        let transfer = &self.get(id)?.transfer;
        Some(Known {
            id,
            digest: transfer.about().digest,
            is_half_open: transfer.is_half_open(),
            progress_at: transfer.progress_at(),
            is_shared: transfer.channel().is_shared(),
        })
    }

    fn end(&mut self, client: SocketAddr, cause: Cause, now: Instant) {
        if let Some(id) = self.by_client.get(&client).copied() {
            self.remove(id, Some(cause), now);
        }
    }
}

fn find<C>(slab: &mut Slab<Slot<C>>, id: TransferId) -> Option<&mut Slot<C>> {
    slab.get_mut(id.slot())
        .filter(|slot| slot.serial == id.serial())
}

#[cfg(test)]
mod tests;
