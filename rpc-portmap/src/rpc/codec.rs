//! Records as a codec for tokio's streams.

use std::io;

use tokio_util::bytes::{Buf, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::record::{RecordLimits, RecordReader, put_record};

/// A codec between a byte stream and records, for [`tokio_util::codec::Framed`].
#[derive(Clone, Debug)]
pub struct RecordCodec(RecordReader);

impl RecordCodec {
    /// Builds a codec at the start of a stream.
    pub const fn new(limits: RecordLimits) -> Self {
        Self(RecordReader::new(limits))
    }

    /// Returns true if a record has begun and is not complete.
    pub const fn is_midway(&self) -> bool {
        self.0.is_midway()
    }
}

impl Decoder for RecordCodec {
    type Item = Vec<u8>;
    type Error = io::Error;

    fn decode(&mut self, source: &mut BytesMut) -> io::Result<Option<Vec<u8>>> {
        let mut input = &source[..];
        let record = self.0.read(&mut input);
        let taken = source.len() - input.len();
        source.advance(taken);
        record.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn decode_eof(&mut self, source: &mut BytesMut) -> io::Result<Option<Vec<u8>>> {
        match self.decode(source)? {
            None if self.0.is_midway() => Err(io::ErrorKind::UnexpectedEof.into()),
            record => Ok(record),
        }
    }
}

impl<B: AsRef<[u8]>> Encoder<B> for RecordCodec {
    type Error = io::Error;

    fn encode(&mut self, record: B, out: &mut BytesMut) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(record.as_ref().len() + 4);
        put_record(&mut bytes, |out| out.extend_from_slice(record.as_ref()));
        out.extend_from_slice(&bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_go_out_and_come_in() {
        let mut codec = RecordCodec::new(RecordLimits::default());
        let mut bytes = BytesMut::new();
        codec.encode(b"one", &mut bytes).expect("short");
        codec.encode(b"", &mut bytes).expect("short");
        assert_eq!(&bytes[..], b"\x80\0\0\x03one\x80\0\0\0");
        assert_eq!(
            codec.decode(&mut bytes).expect("good"),
            Some(b"one".to_vec())
        );
        assert_eq!(codec.decode(&mut bytes).expect("good"), Some(Vec::new()));
        assert_eq!(codec.decode_eof(&mut bytes).expect("good"), None);
    }

    #[test]
    fn a_stream_that_ends_within_a_record_is_an_error() {
        let mut codec = RecordCodec::new(RecordLimits::default());
        let mut bytes = BytesMut::from(&b"\x80\0\0\x03on"[..]);
        assert_eq!(codec.decode(&mut bytes).expect("good so far"), None);
        let error = codec.decode_eof(&mut bytes).expect_err("unfinished");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
