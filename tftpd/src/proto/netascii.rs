//! The netascii mode: text whose lines end in CR LF.

/// An encoder of local text into netascii, block by block.
///
/// [RFC 1350 §1](https://www.rfc-editor.org/rfc/rfc1350#section-1) sends text as
/// [RFC 764](https://www.rfc-editor.org/rfc/rfc764) has it: a line ends in CR LF, and a carriage
/// return that ends no line is CR NUL.
///
/// | local | on the wire |
/// |---|---|
/// | LF | CR LF |
/// | CR | CR NUL |
/// | any other byte | itself |
///
/// A pair may be split by a block boundary; the encoder then keeps its second byte. The encoder is
/// `Copy`: a caller that may have to send a window again keeps a copy of it, together with the
/// offset in the file, from the window's first block.
///
/// ```
/// use tftpd::proto::NetasciiEncoder;
///
/// let mut encoder = NetasciiEncoder::default();
/// let mut block = [0; 4];
/// assert_eq!(encoder.encode(b"one\ntwo", &mut block), (4, 4));
/// assert_eq!(&block, b"one\r");
/// assert_eq!(encoder.encode(b"two", &mut block), (3, 4));
/// assert_eq!(&block, b"\ntwo");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NetasciiEncoder {
    /// The second byte of a pair whose first was the last byte that fitted.
    pending: Option<u8>,
}

impl NetasciiEncoder {
    /// Encodes as much of `input` as fits into `out`. Returns the bytes taken from `input` and the
    /// bytes written to `out`; either all of `input` is taken or all of `out` is written.
    ///
    /// At the end of the file, call it with the rest, possibly empty, until it does not fill
    /// `out`: that block is the last.
    pub fn encode(&mut self, input: &[u8], out: &mut [u8]) -> (usize, usize) {
        let mut room = out.iter_mut();
        let mut rest = input.iter();
        while room.len() > 0 {
            let Some(byte) = self.pending.take().or_else(|| self.next_byte(&mut rest)) else {
                break;
            };
            if let Some(slot) = room.next() {
                *slot = byte;
            }
        }
        let (taken, unused) = (input.len() - rest.len(), room.len());
        (taken, out.len() - unused)
    }

    /// Returns true if the second byte of a pair is still to be written.
    pub const fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Returns the next byte for the wire; the second byte of a pair becomes pending.
    fn next_byte(&mut self, input: &mut std::slice::Iter<'_, u8>) -> Option<u8> {
        let &byte = input.next()?;
        self.pending = second_of_pair(byte);
        Some(if self.pending.is_some() { b'\r' } else { byte })
    }
}

/// Returns the length of `local` as netascii, in bytes: between one and two times its own.
///
/// The sum over the chunks of a file is the length of the file.
pub fn netascii_len(local: &[u8]) -> usize {
    let pairs = local.iter().filter(|&&byte| second_of_pair(byte).is_some());
    local.len() + pairs.count()
}

/// A decoder of netascii into local text, independent of the block boundaries.
///
/// | on the wire | local |
/// |---|---|
/// | CR LF | LF |
/// | CR NUL | CR |
/// | CR and any other byte | both of them: a bare CR of a careless sender is kept |
/// | any other byte, also LF alone | itself |
///
/// ```
/// use tftpd::proto::NetasciiDecoder;
///
/// let (mut decoder, mut text) = (NetasciiDecoder::default(), Vec::new());
/// decoder.decode(b"one\r", &mut text);
/// decoder.decode(b"\ntwo", &mut text);
/// decoder.finish(&mut text);
/// assert_eq!(text, b"one\ntwo");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NetasciiDecoder {
    /// Set when the last byte was a CR; the next byte decides its meaning.
    after_cr: bool,
}

impl NetasciiDecoder {
    /// Appends the text of one block to `out`: at most one byte more than the block holds.
    pub fn decode(&mut self, block: &[u8], out: &mut Vec<u8>) {
        let mut rest = block;
        while let Some((&first, others)) = rest.split_first() {
            if self.after_cr {
                self.after_cr = false;
                match first {
                    b'\n' => out.push(b'\n'),
                    0 => out.push(b'\r'),
                    // Examined again: it may be a CR that opens a pair.
                    _ => {
                        out.push(b'\r');
                        continue;
                    }
                }
                rest = others;
            } else {
                let plain = rest.iter().position(|&byte| byte == b'\r');
                let (text, after) = rest.split_at(plain.unwrap_or(rest.len()));
                out.extend_from_slice(text);
                self.after_cr = !after.is_empty();
                rest = after.get(1..).unwrap_or_default();
            }
        }
    }

    /// Ends the text: a CR that was the last byte is appended to `out` as it is.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.after_cr) {
            out.push(b'\r');
        }
    }
}

/// Returns the byte after the CR on the wire, for the two bytes that become pairs.
const fn second_of_pair(local: u8) -> Option<u8> {
    match local {
        b'\n' => Some(b'\n'),
        b'\r' => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*, sample::select};

    /// The whole text in blocks of `blksize`, read from the file `chunk` bytes at a time.
    fn encode(local: &[u8], blksize: usize, chunk: usize) -> Vec<Vec<u8>> {
        let (mut encoder, mut blocks, mut at) = (NetasciiEncoder::default(), Vec::new(), 0);
        loop {
            let (mut block, mut filled) = (vec![0; blksize], 0);
            while filled < blksize && (at < local.len() || encoder.is_pending()) {
                let input = &local[at..local.len().min(at + chunk)];
                let (taken, written) = encoder.encode(input, &mut block[filled..]);
                (at, filled) = (at + taken, filled + written);
            }
            block.truncate(filled);
            blocks.push(block);
            if filled < blksize {
                return blocks;
            }
        }
    }

    fn decode(blocks: &[Vec<u8>]) -> Vec<u8> {
        let (mut decoder, mut text) = (NetasciiDecoder::default(), Vec::new());
        for block in blocks {
            decoder.decode(block, &mut text);
        }
        decoder.finish(&mut text);
        text
    }

    #[test]
    fn line_ends_and_bare_carriage_returns_become_pairs() {
        let wire = encode(b"a\nb\rc\r\n\0", 512, 512).concat();
        assert_eq!(wire, b"a\r\nb\r\0c\r\0\r\n\0");
        assert_eq!(netascii_len(b"a\nb\rc\r\n\0"), wire.len());
    }

    #[test]
    fn a_pair_is_split_between_two_blocks_and_found_again() {
        let blocks = encode(b"abc\nd", 4, 512);
        assert_eq!(blocks, [b"abc\r".to_vec(), b"\nd".to_vec()]);
        assert_eq!(decode(&blocks), b"abc\nd");
        let blocks = encode(b"abc\rd", 4, 512);
        assert_eq!(blocks, [b"abc\r".to_vec(), b"\0d".to_vec()]);
        assert_eq!(decode(&blocks), b"abc\rd");
    }

    #[test]
    fn the_last_byte_of_a_pair_may_need_a_block_of_its_own() {
        assert_eq!(
            encode(b"abc\n", 4, 512),
            [b"abc\r".to_vec(), b"\n".to_vec()]
        );
        assert_eq!(encode(b"ab\n", 4, 512), [b"ab\r\n".to_vec(), b"".to_vec()]);
    }

    #[test]
    fn a_window_sent_again_from_a_copy_is_the_same() {
        let text = b"abc\ndef\rghi\n";
        let (mut encoder, mut first, mut again) = (NetasciiEncoder::default(), [0; 4], [0; 4]);
        let (taken, _) = encoder.encode(text, &mut first);
        let checkpoint = (encoder, taken);
        encoder.encode(&text[taken..], &mut first);
        let (mut encoder, taken) = checkpoint;
        encoder.encode(&text[taken..], &mut again);
        assert_eq!((first, again), (*b"\ndef", *b"\ndef"));
    }

    #[test]
    fn what_is_no_pair_is_kept() {
        assert_eq!(decode(&[b"a\rb\nc".to_vec()]), b"a\rb\nc");
        assert_eq!(decode(&[b"\r\r\n".to_vec()]), b"\r\n");
        assert_eq!(decode(&[b"\r\r\0\r".to_vec()]), b"\r\r\r");
        assert_eq!(decode(&[b"a\r".to_vec(), b"".to_vec()]), b"a\r");
    }

    /// Text in which the interesting bytes meet often.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        vec(select(b"\r\n\0\r\nab\xff".to_vec()), 0..80)
    }

    proptest! {
        #[test]
        fn text_comes_back_however_it_is_cut(text in text(), blksize in 1_usize..20, chunk in 1_usize..20) {
            let blocks = encode(&text, blksize, chunk);
            prop_assert_eq!(decode(&blocks), text.clone());
            prop_assert_eq!(blocks.concat(), encode(&text, 4096, 4096).concat());
            prop_assert_eq!(netascii_len(&text), blocks.concat().len());
            prop_assert!(netascii_len(&text) <= 2 * text.len());
        }

        #[test]
        fn any_bytes_decode_the_same_however_they_are_cut(wire in text(), blksize in 1_usize..20) {
            let cut: Vec<_> = wire.chunks(blksize).map(<[u8]>::to_vec).collect();
            let text = decode(&cut);
            prop_assert!(text.len() <= wire.len());
            prop_assert_eq!(text, decode(&[wire]));
        }
    }
}
