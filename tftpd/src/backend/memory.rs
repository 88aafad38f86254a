//! Files held in memory.

use std::{
    collections::HashMap,
    io,
    io::IoSliceMut,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Backend, Content, OpenError, Opened, ReadAt, StoreError, Upload};
use crate::policy::Name;

/// Files by name; clones share them.
///
/// ```
/// use tftpd::backend::Memory;
///
/// let files = Memory::new().with("boot.ipxe", "#!ipxe\nshell\n").with("empty", "");
/// assert_eq!(files.len(), 2);
/// assert_eq!(files.read("/boot.ipxe").as_deref(), Some(&b"#!ipxe\nshell\n"[..]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: Arc<Mutex<HashMap<Vec<u8>, Arc<Bytes>>>>,
    uploads: Option<u64>,
}

impl Memory {
    /// Returns a read-only set without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file. A leading slash makes no difference, as in a request.
    #[must_use]
    pub fn with(self, name: impl AsRef<[u8]>, bytes: impl Into<Vec<u8>>) -> Self {
        self.lock()
            .insert(key(name.as_ref()), Arc::new(Bytes(bytes.into())));
        self
    }

    /// Allows uploads of at most `max_size` bytes each, which may replace files.
    #[must_use]
    pub fn writable(self, max_size: u64) -> Self {
        Self {
            uploads: Some(max_size),
            ..self
        }
    }

    /// Returns the content of the file; `None` if there is no file of that name.
    pub fn read(&self, name: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        self.lock()
            .get(&key(name.as_ref()))
            .map(|bytes| bytes.0.clone())
    }

    /// Returns the number of files.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Returns true if there are no files.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Nothing that can panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Arc<Bytes>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the key of a file. A name that no request can spell is kept as it is, and never found.
fn key(name: &[u8]) -> Vec<u8> {
    Name::from_request(name).map_or_else(|_| name.to_vec(), |name| name.as_bytes().to_vec())
}

impl Backend for Memory {
    fn open_read(&self, name: &Name, _client: SocketAddr) -> Result<Opened, OpenError> {
        let bytes = self
            .lock()
            .get(name.as_bytes())
            .cloned()
            .ok_or(OpenError::NotFound)?;
        let size = bytes.len();
        Ok(Content::new(bytes, size).into())
    }

    fn open_write(
        &self,
        name: &Name,
        _client: SocketAddr,
        announced: Option<u64>,
    ) -> Result<Box<dyn Upload>, OpenError> {
        let limit = self.uploads.ok_or(OpenError::ReadOnly)?;
        if announced.is_some_and(|size| size > limit) {
            return Err(StoreError::TooLarge { limit }.into());
        }
        Ok(Box::new(MemoryUpload {
            files: self.clone(),
            name: name.as_bytes().to_vec(),
            bytes: Vec::new(),
            limit,
        }))
    }
}

#[derive(Debug)]
pub(super) struct Bytes(Vec<u8>);

impl Bytes {
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

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

struct MemoryUpload {
    files: Memory,
    name: Vec<u8>,
    bytes: Vec<u8>,
    limit: u64,
}

impl Upload for MemoryUpload {
    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if (self.bytes.len() + bytes.len()) as u64 > self.limit {
            return Err(StoreError::TooLarge { limit: self.limit });
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self {
            files, name, bytes, ..
        } = *self;
        files.lock().insert(name, Arc::new(Bytes(bytes)));
        Ok(())
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
