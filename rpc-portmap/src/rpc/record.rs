//! Records in a byte stream ([RFC 5531 §11](https://www.rfc-editor.org/rfc/rfc5531#section-11)).

/// The bit of a fragment's header that marks the last one of its record.
const LAST: u32 = 1 << 31;

/// Limits on a record, beyond which a stream is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RecordLimits {
    /// The longest record, in bytes over all its fragments.
    pub bytes: usize,
    /// The most fragments of one record, empty ones included.
    pub fragments: u32,
}

impl RecordLimits {
    /// Sets [`bytes`](Self::bytes).
    #[must_use]
    pub const fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Sets [`fragments`](Self::fragments).
    #[must_use]
    pub const fn fragments(self, fragments: u32) -> Self {
        Self { fragments, ..self }
    }
}

impl Default for RecordLimits {
    /// 64 KiB in at most 1024 fragments: more than any call of the binding protocols has.
    fn default() -> Self {
        Self {
            bytes: 64 << 10,
            fragments: 1024,
        }
    }
}

/// A reader that assembles records from the bytes of a stream.
///
/// ```text
///  1 bit    31 bits
/// ┌────────┬────────┬───────────┬┄
/// │ last   │ length │ fragment  │ next fragment
/// └────────┴────────┴───────────┴┄
/// ```
///
/// ```
/// use rpc_portmap::rpc::{RecordLimits, RecordReader};
///
/// let mut reader = RecordReader::new(RecordLimits::default());
/// let mut bytes = &b"\0\0\0\x02ab\x80\0\0\x01c\x80\0\0"[..];
/// assert_eq!(reader.read(&mut bytes)?, Some(b"abc".to_vec()));
/// assert_eq!(reader.read(&mut bytes)?, None); // the next header is not whole yet
/// # Ok::<(), rpc_portmap::rpc::RecordError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RecordReader {
    limits: RecordLimits,
    record: Vec<u8>,
    fragments: u32,
    header: [u8; 4],
    header_len: usize,
    /// The rest of the current fragment; `None` between fragments.
    fragment: Option<Fragment>,
}

#[derive(Clone, Copy, Debug)]
struct Fragment {
    missing: usize,
    last: bool,
}

impl RecordReader {
    /// Builds a reader at the start of a stream.
    pub const fn new(limits: RecordLimits) -> Self {
        Self {
            limits,
            record: Vec::new(),
            fragments: 0,
            header: [0; 4],
            header_len: 0,
            fragment: None,
        }
    }

    /// Consumes bytes from the front of `input` until a record is complete; `None` if more are
    /// needed.
    ///
    /// # Errors
    /// [`RecordError`] as soon as a header announces more than the limits allow; the stream cannot
    /// be read further.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, RecordError> {
        loop {
            let Some(fragment) = &mut self.fragment else {
                match self.header(input) {
                    Some(header) => self.fragment = Some(self.admit(header)?),
                    None => return Ok(None),
                }
                continue;
            };
            let (taken, rest) = input.split_at(fragment.missing.min(input.len()));
            *input = rest;
            fragment.missing -= taken.len();
            self.record.extend_from_slice(taken);
            if fragment.missing > 0 {
                return Ok(None);
            }
            let last = fragment.last;
            self.fragment = None;
            if last {
                self.fragments = 0;
                return Ok(Some(std::mem::take(&mut self.record)));
            }
        }
    }

    /// Returns true if a record has begun and is not complete.
    pub const fn is_midway(&self) -> bool {
        self.header_len > 0 || self.fragment.is_some() || self.fragments > 0
    }

    /// Returns the next header, once it is complete.
    fn header(&mut self, input: &mut &[u8]) -> Option<u32> {
        while self.header_len < self.header.len() {
            let (first, rest) = input.split_first()?;
            *self.header.get_mut(self.header_len)? = *first;
            self.header_len += 1;
            *input = rest;
        }
        self.header_len = 0;
        Some(u32::from_be_bytes(self.header))
    }

    fn admit(&mut self, header: u32) -> Result<Fragment, RecordError> {
        let RecordLimits { bytes, fragments } = self.limits;
        let announced = usize::try_from(header & !LAST).unwrap_or(usize::MAX);
        if announced > bytes.saturating_sub(self.record.len()) {
            return Err(RecordError::TooLong { max: bytes });
        }
        if self.fragments == fragments {
            return Err(RecordError::TooManyFragments { max: fragments });
        }
        self.fragments += 1;
        Ok(Fragment {
            missing: announced,
            last: header & LAST != 0,
        })
    }
}

/// Appends a record of one fragment, whose content `write` appends.
///
/// # Panics
/// If the content has 2 GiB or more.
pub fn put_record(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = u32::try_from(out.len() - start - 4)
        .ok()
        .filter(|length| length & LAST == 0);
    let header = LAST | length.expect("messages are far smaller than 2 GiB");
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&header.to_be_bytes());
    }
}

/// A record that exceeds the limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A record is longer than allowed.
    #[error("a record of more than {max} bytes")]
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// A record has more fragments than allowed.
    #[error("a record of more than {max} fragments")]
    TooManyFragments {
        /// The limit.
        max: u32,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: RecordLimits = RecordLimits {
        bytes: 8,
        fragments: 3,
    };

    #[test]
    fn a_record_may_come_in_one_fragment_in_many_and_in_empty_ones() {
        for stream in [
            &b"\x80\0\0\x03abc"[..],
            b"\0\0\0\x01a\0\0\0\x01b\x80\0\0\x01c",
            b"\0\0\0\0\0\0\0\x03abc\x80\0\0\0",
        ] {
            assert_eq!(all(SMALL, stream), Ok(vec![b"abc".to_vec()]));
        }
        assert_eq!(all(SMALL, b"\x80\0\0\0"), Ok(vec![vec![]]));
    }

    #[test]
    fn a_record_as_long_as_allowed_is_taken_and_a_longer_one_refused_before_it_comes() {
        assert!(all(SMALL, b"\x80\0\0\x0812345678").is_ok());
        let error = Err(RecordError::TooLong { max: 8 });
        assert_eq!(all(SMALL, b"\x80\0\0\x09"), error);
        assert_eq!(all(SMALL, b"\0\0\0\x07 seven \0\0\0\x02"), error);
        assert_eq!(all(SMALL, b"\xff\xff\xff\xff"), error);
    }

    #[test]
    fn empty_fragments_have_an_end() {
        let error = Err(RecordError::TooManyFragments { max: 3 });
        assert_eq!(all(SMALL, &[0; 16]), error);
        let two_records = b"\0\0\0\0\0\0\0\0\x80\0\0\0\0\0\0\0\0\0\0\0\x80\0\0\0";
        assert_eq!(all(SMALL, two_records), Ok(vec![vec![], vec![]]));
    }

    #[test]
    fn a_reader_reports_an_unfinished_record() {
        let mut reader = RecordReader::new(SMALL);
        for (bytes, midway) in [
            (&b"\0"[..], true),
            (b"\0\0\x01a", true),
            (b"\x80\0\0\x01", true),
            (b"b", false),
        ] {
            let mut input = bytes;
            reader.read(&mut input).expect("within the limits");
            assert_eq!(reader.is_midway(), midway, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn records_do_not_depend_on_the_pieces_of_a_stream(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            fragment in 1_usize..20,
            piece in 1_usize..20,
        ) {
            let mut stream = Vec::new();
            for record in &records {
                let pieces = record.len().div_ceil(fragment).max(1);
                for (index, chunk) in record.chunks(fragment).chain([&[][..]]).take(pieces).enumerate() {
                    let last = if index + 1 == pieces { LAST } else { 0 };
                    let header = last | u32::try_from(chunk.len()).expect("small");
                    stream.extend(header.to_be_bytes());
                    stream.extend(chunk);
                }
            }
            let mut reader = RecordReader::new(RecordLimits::default());
            let mut read = Vec::new();
            for mut input in stream.chunks(piece) {
                while let Some(record) = reader.read(&mut input).expect("within the limits") {
                    read.push(record);
                }
                prop_assert!(input.is_empty());
            }
            prop_assert_eq!(read, records);
            prop_assert!(!reader.is_midway());
        }

        #[test]
        fn what_is_put_reads_back(content in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut out = b"before".to_vec();
            put_record(&mut out, |out| out.extend(&content));
            prop_assert_eq!(all(RecordLimits::default(), &out[6..]), Ok(vec![content]));
        }
    }

    fn all(limits: RecordLimits, mut stream: &[u8]) -> Result<Vec<Vec<u8>>, RecordError> {
        let mut reader = RecordReader::new(limits);
        let mut records = Vec::new();
        while let Some(record) = reader.read(&mut stream)? {
            records.push(record);
        }
        Ok(records)
    }
}
