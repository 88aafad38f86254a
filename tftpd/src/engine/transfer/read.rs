//! The blocks of a read request: from the file to the client.

use super::{channel::Channel, source::Source, window::WindowBuffer};
use crate::{
    net::{SendError, stride},
    proto::{self, Terms},
};

/// The file of a read transfer.
#[derive(Debug)]
pub(crate) struct Reading(Source);

impl Reading {
    pub(crate) fn new(source: Source) -> Self {
        Self(source)
    }

    /// Returns the bytes of the file, if they are known.
    pub(super) fn file_size(&self) -> Option<u64> {
        self.0.file_size()
    }

    /// Sends `count` blocks from `first` on, a window buffer at a time.
    pub(super) fn send_blocks(
        &mut self,
        (channel, machine): (&mut impl Channel, &mut proto::Transfer),
        window: &mut WindowBuffer,
        terms: &Terms,
        first: u64,
        count: u16,
    ) -> Result<(), SendError> {
        let shape = (terms.blksize, terms.rollover);
        let end = first + u64::from(count);
        self.0.release_before(first);
        let mut next = first;
        while next < end {
            let left = u16::try_from(end - next).unwrap_or(u16::MAX);
            let packets = self
                .0
                .packets(window, shape, next, left)
                .map_err(SendError::Io)?;
            next += u64::from(packets.count);
            if packets.end {
                machine.ends_with(next - 1);
            }
            channel.send_run(packets.bytes, stride(terms.blksize))?;
            if packets.end {
                break;
            }
        }
        Ok(())
    }
}
