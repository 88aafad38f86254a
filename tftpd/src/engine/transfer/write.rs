//! The blocks of a write request: from the client to the file.

use std::{fmt, io, time::Instant};

use crate::{
    backend::{StoreError, Upload},
    proto::NetasciiDecoder,
};

/// The file of a write transfer.
pub(crate) struct Writing {
    /// `None` once it is being committed, or after an error.
    upload: Option<Box<dyn Upload>>,
    /// The time of the commit.
    stored_at: Option<Instant>,
    received: u64,
    text: Option<Text>,
}

/// A decoder of netascii, with its output.
#[derive(Default)]
struct Text {
    decoder: NetasciiDecoder,
    local: Vec<u8>,
}

impl Writing {
    pub(crate) fn new(upload: Box<dyn Upload>, is_netascii: bool) -> Self {
        Self {
            upload: Some(upload),
            stored_at: None,
            received: 0,
            text: is_netascii.then(Text::default),
        }
    }

    /// Returns the bytes received from the client.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Returns the time of the commit.
    pub(super) fn stored_at(&self) -> Option<Instant> {
        self.stored_at
    }

    /// Appends the payload of a block.
    pub(super) fn store(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        self.received += payload.len() as u64;
        let Some(upload) = &mut self.upload else {
            return Ok(());
        };
        match &mut self.text {
            None => upload.append(payload),
            Some(Text { decoder, local }) => {
                local.clear();
                decoder.decode(payload, local);
                upload.append(local)
            }
        }
    }

    /// Takes the complete file, for a commit.
    pub(super) fn finish(&mut self) -> Result<Box<dyn Upload>, StoreError> {
        let mut upload = self
            .upload
            .take()
            .ok_or(StoreError::Io(io::ErrorKind::NotFound.into()))?;
        if let Some(Text { decoder, local }) = &mut self.text {
            local.clear();
            decoder.finish(local);
            upload.append(local)?;
        }
        Ok(upload)
    }

    /// Records the commit.
    pub(super) fn committed(&mut self, now: Instant) {
        self.stored_at = Some(now);
    }

    /// Drops the file.
    pub(super) fn discard(&mut self) {
        self.upload = None;
    }
}

impl fmt::Debug for Writing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writing")
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}
