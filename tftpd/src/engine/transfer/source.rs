//! The content of a transfer: a file in octet mode, or encoded as netascii.

use std::{
    collections::VecDeque,
    io::{self, IoSliceMut},
};

use super::window::{WindowBuffer, became_shorter};
use crate::{
    backend::Content,
    net::stride,
    proto::{Blksize, NetasciiEncoder, Rollover},
};

/// The content of one transfer.
#[derive(Debug)]
pub(crate) enum Source {
    /// Octet mode: the offset of block `n` follows from its number.
    Octet(Content),
    /// Netascii: the offset of a block follows from the block before it.
    Netascii(Text),
}

/// Packets to send.
pub(crate) struct Packets<'b> {
    pub(crate) bytes: &'b [u8],
    /// The number of packets.
    pub(crate) count: u16,
    /// True if reading has shown that the last of them ends the transfer.
    pub(crate) end: bool,
}

impl Source {
    /// Returns the bytes of the file: fewer than those sent if line ends are encoded.
    pub(crate) fn file_size(&self) -> Option<u64> {
        match self {
            Self::Octet(content) => content.size(),
            Self::Netascii(text) => text.content.size(),
        }
    }

    /// Assembles DATA packets from block `first` on: at most `count`, and as many as one send
    /// carries.
    pub(crate) fn packets<'b>(
        &mut self,
        window: &'b mut WindowBuffer,
        shape: (Blksize, Rollover),
        first: u64,
        count: u16,
    ) -> io::Result<Packets<'b>> {
        let count = count.min(WindowBuffer::capacity(shape.0));
        match self {
            Self::Octet(content) => {
                let (bytes, count) = window.fill(content, shape, first, count)?;
                let full = usize::from(count) * stride(shape.0);
                Ok(Packets {
                    bytes,
                    count,
                    end: content.size().is_none() && bytes.len() < full,
                })
            }
            Self::Netascii(text) => {
                let mut end = false;
                let (bytes, count) = window.fill_with(shape, first, count, |number, room| {
                    let written = text.block(number, room)?;
                    end = written < room.len();
                    Ok(written)
                })?;
                Ok(Packets { bytes, count, end })
            }
        }
    }

    /// Drops the positions of blocks before `block`, which are acknowledged.
    pub(crate) fn release_before(&mut self, block: u64) {
        if let Self::Netascii(text) = self {
            text.release_before(block);
        }
    }
}

/// A file read as netascii. It holds no bytes, only the position of each block of a window, from
/// which the window is read again for a retransmission.
#[derive(Debug)]
pub(crate) struct Text {
    content: Content,
    /// The number of the first block in `starts`.
    first: u64,
    /// The positions of blocks, in order; never empty.
    starts: VecDeque<Position>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    offset: u64,
    encoder: NetasciiEncoder,
}

impl Text {
    pub(crate) fn new(content: Content) -> Self {
        Self {
            content,
            first: 1,
            starts: VecDeque::from([Position::default()]),
        }
    }

    /// Writes block `number`, which is a known one or the next one; returns its length.
    fn block(&mut self, number: u64, room: &mut [u8]) -> io::Result<usize> {
        let index = number
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok());
        let start = index.and_then(|index| self.starts.get(index));
        let mut at = *start.ok_or(io::ErrorKind::InvalidInput)?;
        let written = self.encode(&mut at, room)?;
        if index == Some(self.starts.len() - 1) {
            self.starts.push_back(at);
        }
        Ok(written)
    }

    /// Fills `room` from `at` on up to the end of the file, and advances `at`.
    fn encode(&self, at: &mut Position, room: &mut [u8]) -> io::Result<usize> {
        let mut input = [0; 2048];
        let mut written = 0;
        while let Some(rest) = room.get_mut(written..).filter(|rest| !rest.is_empty()) {
            let read = self.read(&mut input, rest.len(), at.offset)?;
            let (taken, made) = at
                .encoder
                .encode(input.get(..read).unwrap_or_default(), rest);
            at.offset += taken as u64;
            written += made;
            if made == 0 {
                break;
            }
        }
        Ok(written)
    }

    /// Reads up to `wanted` bytes at `offset`. A file has the size it was opened with, as in octet
    /// mode: appended bytes are ignored, and missing bytes are an error.
    fn read(&self, input: &mut [u8], wanted: usize, offset: u64) -> io::Result<usize> {
        let left = self.content.size().map(|size| size.saturating_sub(offset));
        let left = left.map_or(wanted, |left| usize::try_from(left).unwrap_or(wanted));
        let wanted = wanted.min(left).min(input.len());
        let room = input.get_mut(..wanted).unwrap_or_default();
        if room.is_empty() {
            return Ok(0);
        }
        let read = self.content.read_at(&mut [IoSliceMut::new(room)], offset)?;
        if read < wanted && self.content.size().is_some() {
            return Err(became_shorter());
        }
        Ok(read)
    }

    fn release_before(&mut self, block: u64) {
        while self.first < block && self.starts.len() > 1 {
            self.starts.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        backend::{Backend, Memory, Opened, ReadAt},
        policy::Name,
        proto::DATA_HEADER,
    };

    fn text(bytes: &[u8]) -> Source {
        let client = "127.0.0.1:1".parse().expect("an address");
        let name = Name::from_request(b"t").expect("a name");
        let opened = Memory::new()
            .with("t", bytes)
            .open_read(&name, client)
            .expect("there");
        let Opened::Ready(content) = opened else {
            panic!("files in memory are never pending")
        };
        Source::Netascii(Text::new(content))
    }

    fn blocks(source: &mut Source, first: u64, count: u16) -> (String, bool) {
        let mut window = WindowBuffer::new();
        let packets = source
            .packets(&mut window, (Blksize::MIN, Rollover::Zero), first, count)
            .expect("readable");
        let payloads = packets
            .bytes
            .chunks(DATA_HEADER + 8)
            .map(|packet| packet[DATA_HEADER..].escape_ascii().to_string());
        (payloads.collect::<Vec<_>>().join("|"), packets.end)
    }

    #[test]
    fn a_window_can_be_read_again_and_ends_where_the_text_does() {
        let mut source = text(b"0123456\n89\rabcdef\n");
        assert_eq!(
            blocks(&mut source, 1, 2),
            (r"0123456\r|\n89\r\x00abc".to_owned(), false)
        );
        assert_eq!(blocks(&mut source, 1, 1), (r"0123456\r".to_owned(), false));
        source.release_before(2);
        assert_eq!(
            blocks(&mut source, 2, 5),
            (r"\n89\r\x00abc|def\r\n".to_owned(), true)
        );
        assert_eq!(source.file_size(), Some(18));
    }

    #[test]
    fn a_text_has_the_size_it_was_opened_with() {
        /// A file whose size has changed since.
        struct Now(&'static [u8]);
        impl ReadAt for Now {
            fn read_at(&self, slices: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
                let at = usize::try_from(offset).expect("small").min(self.0.len());
                let (room, rest) = (&mut slices[0], &self.0[at..]);
                let length = room.len().min(rest.len());
                room[..length].copy_from_slice(&rest[..length]);
                Ok(length)
            }
        }
        let opened = |size| {
            let content = Content::new(Arc::new(Now(b"one\ntwo\n")), size);
            Source::Netascii(Text::new(content))
        };
        assert_eq!(blocks(&mut opened(4), 1, 4), (r"one\r\n".to_owned(), true));
        let mut window = WindowBuffer::new();
        let shape = (Blksize::MIN, Rollover::Zero);
        let cut = opened(20).packets(&mut window, shape, 1, 4).map(drop);
        let error = cut.expect_err("twelve bytes are missing");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_text_that_fills_its_last_block_is_followed_by_an_empty_one() {
        assert_eq!(
            blocks(&mut text(b"1234567\n"), 1, 4),
            (r"1234567\r|\n".to_owned(), true)
        );
        assert_eq!(
            blocks(&mut text(b"123456\n"), 1, 4),
            (r"123456\r\n|".to_owned(), true)
        );
        assert_eq!(blocks(&mut text(b""), 1, 4), (String::new(), true));
    }
}
