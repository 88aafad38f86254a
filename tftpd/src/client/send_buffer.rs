//! Blocks in flight, kept for retransmission.

use std::{collections::VecDeque, io};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::proto::{DATA_HEADER, Data, Mode, NetasciiEncoder, Terms};

/// A source cut into DATA packets, with the unacknowledged ones kept for retransmission, because a
/// source cannot be read twice. It holds at most one window: the sender asks for no more before the
/// first is acknowledged.
pub(super) struct SendBuffer<'a, S: ?Sized> {
    source: BufReader<&'a mut S>,
    encoder: Option<NetasciiEncoder>,
    terms: Terms,
    /// Packets in order, from block `first` on.
    kept: VecDeque<Vec<u8>>,
    first: u64,
    /// Buffers of released packets, for reuse.
    spare: Vec<Vec<u8>>,
    last: Option<u64>,
    taken: u64,
}

/// Bytes per read of the source: each read of a file is a call to the blocking pool.
const CHUNK: usize = 64 * 1024;

impl<'a, S> SendBuffer<'a, S>
where
    S: AsyncRead + Unpin + ?Sized,
{
    pub(super) fn new(source: &'a mut S, terms: Terms, mode: Mode) -> Self {
        Self {
            source: BufReader::with_capacity(CHUNK, source),
            encoder: (mode == Mode::Netascii).then(NetasciiEncoder::default),
            terms,
            kept: VecDeque::new(),
            first: 1,
            spare: Vec::new(),
            last: None,
            taken: 0,
        }
    }

    /// Reads from the source up to block `number`, or to the end.
    pub(super) async fn fill(&mut self, number: u64) -> io::Result<()> {
        while self.last.is_none() && self.next() <= number {
            let packet = self.read().await?;
            if packet.len() < self.full() {
                self.last = Some(self.next());
            }
            self.kept.push_back(packet);
        }
        Ok(())
    }

    /// Returns the packet of block `number`; `None` if it was acknowledged, was not read, or lies
    /// beyond the end of the file.
    pub(super) fn packet(&self, number: u64) -> Option<&[u8]> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.kept.get(index).map(Vec::as_slice)
    }

    /// Releases the packets up to block `acknowledged`.
    pub(super) fn release(&mut self, acknowledged: u64) {
        while self.first <= acknowledged
            && let Some(packet) = self.kept.pop_front()
        {
            self.spare.push(packet);
            self.first += 1;
        }
    }

    /// Returns the number of the last block, once it was read.
    pub(super) const fn last(&self) -> Option<u64> {
        self.last
    }

    /// Returns the bytes taken from the source.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Returns the number of the block after those kept.
    fn next(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// Returns the size in bytes of a packet that is not the last.
    fn full(&self) -> usize {
        DATA_HEADER + usize::from(self.terms.blksize.bytes())
    }

    /// Returns the next packet: a full one, or the last.
    async fn read(&mut self) -> io::Result<Vec<u8>> {
        let full = self.full();
        let mut packet = self.spare.pop().unwrap_or_default();
        packet.clear();
        packet.extend_from_slice(&Data::header(self.terms.rollover.to_wire(self.next())));
        packet.resize(full, 0);
        let mut filled = DATA_HEADER;
        while filled < full {
            let chunk = self.source.fill_buf().await?;
            let room = packet.get_mut(filled..).unwrap_or_default();
            let (taken, written) = match &mut self.encoder {
                Some(encoder) => encoder.encode(chunk, room),
                None => copy(chunk, room),
            };
            // The second byte of a pair may remain after the end of the source.
            if written == 0 {
                break;
            }
            self.source.consume(taken);
            self.taken += taken as u64;
            filled += written;
        }
        packet.truncate(filled);
        Ok(packet)
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> (usize, usize) {
    let count = from.len().min(to.len());
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    (count, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Blksize;

    fn blksize(bytes: u16) -> Terms {
        Terms {
            blksize: Blksize::new(bytes).expect("a legal size"),
            ..Terms::default()
        }
    }

    #[tokio::test]
    async fn blocks_are_cut_numbered_and_the_last_is_short_or_empty() {
        for (content, last, end) in [
            (&b""[..], 1, &b"\x00\x03\x00\x01"[..]),
            (b"12345678", 2, b"\x00\x03\x00\x02"),
            (b"123456789", 2, b"\x00\x03\x00\x029"),
        ] {
            let mut source = content;
            let mut buffer = SendBuffer::new(&mut source, blksize(8), Mode::Octet);
            buffer.fill(last + 1).await.expect("memory");
            assert_eq!(buffer.packet(last), Some(end));
            assert_eq!(buffer.packet(last + 1), None);
            assert_eq!(buffer.last(), Some(last));
            assert_eq!(buffer.taken(), content.len() as u64);
        }
    }

    #[tokio::test]
    async fn a_block_is_kept_until_it_is_acknowledged() {
        let content: Vec<u8> = (0..100).collect();
        let mut source = content.as_slice();
        let mut buffer = SendBuffer::new(&mut source, blksize(8), Mode::Octet);
        buffer.fill(4).await.expect("memory");
        buffer.release(2);
        let third = buffer.packet(3).expect("kept");
        assert_eq!(third.get(4..), content.get(16..24));
        assert_eq!(buffer.packet(2), None);
        assert_eq!(buffer.kept.len(), 2);
    }

    #[tokio::test]
    async fn what_is_not_asked_for_is_not_read() {
        let mut source = &[7; 10_000][..];
        let mut buffer = SendBuffer::new(&mut source, blksize(512), Mode::Octet);
        buffer.fill(3).await.expect("memory");
        assert_eq!(buffer.taken(), 3 * 512);
    }

    #[tokio::test]
    async fn a_pair_of_netascii_may_stand_on_both_sides_of_a_block_and_end_the_file() {
        let mut source = &b"1234567\n2345678\n"[..];
        let mut buffer = SendBuffer::new(&mut source, blksize(8), Mode::Netascii);
        buffer.fill(3).await.expect("memory");
        let wire = [1, 2, 3].map(|number| &buffer.packet(number).expect("there")[4..]);
        assert_eq!(wire, [&b"1234567\r"[..], b"\n2345678", b"\r\n"]);
        assert_eq!(buffer.last(), Some(3));
    }
}
