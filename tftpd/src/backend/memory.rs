//! Files held in memory.

use std::{collections::HashMap, io, io::IoSliceMut, net::SocketAddr, sync::Arc};

use super::{Backend, Content, OpenError, ReadAt};
use crate::policy::Name;

/// A fixed set of files, by name.
///
/// ```
/// use tftpd::backend::Memory;
///
/// let files = Memory::new().with("boot.ipxe", "#!ipxe\nshell\n").with("empty", "");
/// assert_eq!(files.len(), 2);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: HashMap<Vec<u8>, Arc<Bytes>>,
}

impl Memory {
    /// No files yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// These files and one more. A leading slash makes no difference, as in a request.
    #[must_use]
    pub fn with(mut self, name: impl AsRef<[u8]>, bytes: impl Into<Vec<u8>>) -> Self {
        // A name that no request can spell is kept and never found.
        let key = Name::from_request(name.as_ref())
            .map_or_else(|_| name.as_ref().to_vec(), |name| name.as_bytes().to_vec());
        self.files.insert(key, Arc::new(Bytes(bytes.into())));
        self
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl Backend for Memory {
    fn open_read(&self, name: &Name, _client: SocketAddr) -> Result<Content, OpenError> {
        let bytes = self.files.get(name.as_bytes()).ok_or(OpenError::NotFound)?;
        Ok(Content::new(bytes.clone(), bytes.0.len() as u64))
    }
}

#[derive(Debug)]
struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn read_at(&self, slices: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut rest = self.0.get(start..).unwrap_or_default();
        let mut copied = 0;
        for slice in slices {
            let (now, later) = rest.split_at(slice.len().min(rest.len()));
            if let Some(room) = slice.get_mut(..now.len()) {
                room.copy_from_slice(now);
            }
            copied += now.len();
            rest = later;
        }
        Ok(copied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_at_any_offset_into_several_slices() {
        let bytes = Bytes(b"hello world".to_vec());
        let (mut a, mut b) = ([0; 3], [0; 20]);
        let read = bytes.read_at(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)], 6);
        assert_eq!(
            (read.expect("memory"), &a, &b[..2]),
            (5, b"wor", &b"ld"[..])
        );
        assert_eq!(
            bytes
                .read_at(&mut [IoSliceMut::new(&mut a)], 11)
                .expect("memory"),
            0
        );
        assert_eq!(
            bytes
                .read_at(&mut [IoSliceMut::new(&mut a)], u64::MAX)
                .expect("memory"),
            0
        );
    }
}
