//! The buffer in which the DATA packets of a window are assembled.

use std::io::{self, IoSliceMut};

use crate::{
    backend::Content,
    net::stride,
    proto::{Blksize, DATA_HEADER, Data, Rollover},
};

/// The most segments of one send (the kernel's former `UDP_MAX_SEGMENTS`).
const MAX_SEGMENTS: usize = 64;
/// The most bytes of one send: an IPv4 packet less its headers.
const MAX_SEND: usize = 65_507;

/// A buffer for the datagrams of one send, shared by all transfers of a thread: a transfer itself
/// holds no bytes.
#[derive(Debug)]
pub(crate) struct WindowBuffer(Box<[u8]>);

impl WindowBuffer {
    pub(crate) fn new() -> Self {
        Self(vec![0; MAX_SEND + DATA_HEADER].into_boxed_slice())
    }

    /// Returns the number of blocks of this size in one send.
    pub(crate) fn capacity(blksize: Blksize) -> u16 {
        let fit = (MAX_SEND / stride(blksize)).clamp(1, MAX_SEGMENTS);
        u16::try_from(fit).unwrap_or(1)
    }

    /// Assembles `count` DATA packets from `first` on, with one read of all payloads straight to
    /// their positions. `count` is at most [`capacity`](Self::capacity). Returns the packets and
    /// their number, which is lower if content of unknown size ends before.
    ///
    /// # Errors
    /// Those of the reader, or `UnexpectedEof` if the file has become shorter.
    pub(crate) fn fill(
        &mut self,
        content: &Content,
        (blksize, rollover): (Blksize, Rollover),
        first: u64,
        count: u16,
    ) -> io::Result<(&[u8], u16)> {
        let block = u64::from(blksize.bytes());
        let offset = (first - 1) * block;
        let room = block * u64::from(count);
        let mut left = content
            .size()
            .map_or(room, |size| size.saturating_sub(offset).min(room));
        let expected = usize::try_from(left).unwrap_or(usize::MAX);
        let packets = self
            .0
            .chunks_mut(stride(blksize))
            .take(count.into())
            .zip(first..);
        let payloads = packets.map(|(packet, number)| {
            let (header, payload) = packet.split_at_mut(DATA_HEADER);
            header.copy_from_slice(&Data::header(rollover.to_wire(number)));
            let length = left.min(block);
            left -= length;
            let length = usize::try_from(length).unwrap_or(0);
            IoSliceMut::new(payload.get_mut(..length).unwrap_or_default())
        });
        let read = read_into(content, payloads, count, offset, expected)?;
        if read < expected && content.size().is_some() {
            return Err(became_shorter());
        }
        let made = u16::try_from(read / usize::from(blksize.bytes()) + 1)
            .unwrap_or(count)
            .min(count);
        let length = read + usize::from(made) * DATA_HEADER;
        Ok((self.0.get(..length).unwrap_or_default(), made))
    }

    /// As [`fill`](Self::fill), for content that is read block by block: `payload` writes the
    /// payload of a block and returns its length. A short block is the last one.
    pub(crate) fn fill_with(
        &mut self,
        (blksize, rollover): (Blksize, Rollover),
        first: u64,
        count: u16,
        mut payload: impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<(&[u8], u16)> {
        let (mut length, mut made) = (0, 0);
        for (packet, number) in self
            .0
            .chunks_mut(stride(blksize))
            .take(count.into())
            .zip(first..)
        {
            let (header, room) = packet.split_at_mut(DATA_HEADER);
            header.copy_from_slice(&Data::header(rollover.to_wire(number)));
            let room = room.get_mut(..blksize.bytes().into()).unwrap_or_default();
            let written = payload(number, room)?;
            length += DATA_HEADER + written;
            made += 1;
            if written < room.len() {
                break;
            }
        }
        Ok((self.0.get(..length).unwrap_or_default(), made))
    }
}

/// Returns the error for content with fewer bytes than it was opened with.
pub(crate) fn became_shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter")
}

/// Reads `count` payloads from `offset` on with one call.
fn read_into<'b>(
    content: &Content,
    mut payloads: impl Iterator<Item = IoSliceMut<'b>>,
    count: u16,
    offset: u64,
    expected: usize,
) -> io::Result<usize> {
    let mut slots: [IoSliceMut<'_>; MAX_SEGMENTS];
    // Without windows there is one payload: no table of 64 is set up.
    let mut single;
    let used = if count == 1 {
        single = [payloads.next().unwrap_or_else(|| IoSliceMut::new(&mut []))];
        &mut single[..]
    } else {
        slots =
            std::array::from_fn(|_| payloads.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
        slots.get_mut(..usize::from(count)).unwrap_or_default()
    };
    if expected > 0 {
        content.read_at(used, offset)
    } else {
        Ok(0)
    }
}
