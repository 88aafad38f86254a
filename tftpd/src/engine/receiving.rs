//! A file on its way from a client.

use std::{fmt, time::Instant};

use crate::{
    backend::{StoreError, Upload},
    proto::{Ack, Input, NetasciiDecoder, Receiver, ReceiverOutput, Stored},
};

use super::{
    record::Cause,
    session::{Link, Next, Workspace},
};

/// The state machine, and where its bytes go.
pub(super) struct Receiving {
    pub(super) receiver: Receiver,
    /// Gone once it is being made to last.
    upload: Option<Box<dyn Upload>>,
    /// When the file was there for all to see.
    pub(super) stored_at: Option<Instant>,
    text: Option<Text>,
}

/// Line ends of the wire made into local ones.
#[derive(Default)]
struct Text {
    decoder: NetasciiDecoder,
    local: Vec<u8>,
}

impl Receiving {
    pub(super) fn new(receiver: Receiver, upload: Box<dyn Upload>, netascii: bool) -> Self {
        Self {
            receiver,
            upload: Some(upload),
            stored_at: None,
            text: netascii.then(Text::default),
        }
    }

    /// Takes in what happened, and stores the block that it brought.
    pub(super) fn handle(&mut self, link: &mut Link, input: Input<'_>, now: Instant) {
        let Some(Stored { payload, .. }) = self.receiver.handle(input, now) else {
            return;
        };
        if let Err(error) = self.store(payload) {
            self.fail(link, &error, now);
        }
    }

    /// Does what the receiver asks for until it waits; answers with the time it waits for.
    pub(super) fn drive(
        &mut self,
        link: &mut Link,
        work: &mut Workspace,
        now: Instant,
    ) -> (Next, Option<Instant>) {
        loop {
            let sent = match self.receiver.poll() {
                ReceiverOutput::Wait(deadline) => return (Next::Wait, Some(deadline)),
                ReceiverOutput::Done => return (Next::End, None),
                ReceiverOutput::Commit => match self.finish() {
                    Ok(upload) => return (Next::Commit(upload), None),
                    Err(error) => {
                        self.fail(link, &error, now);
                        Ok(())
                    }
                },
                ReceiverOutput::Ack(block) => {
                    work.packet.clear();
                    Ack { block }.encode(&mut work.packet);
                    link.send(&work.packet)
                }
                ReceiverOutput::Oack(options) => link.send_oack(work, options),
                ReceiverOutput::Error(code) => {
                    link.send_error(work, code);
                    Ok(())
                }
            };
            if let Err(error) = sent
                && let Some(input) = link.not_sent(error)
            {
                self.receiver.handle(input, now);
            }
        }
    }

    /// What became of the file.
    pub(super) fn committed(
        &mut self,
        link: &mut Link,
        result: Result<(), StoreError>,
        now: Instant,
    ) {
        match result {
            Ok(()) => {
                self.stored_at = Some(now);
                self.receiver.committed(now);
            }
            Err(error) => self.fail(link, &error, now),
        }
    }

    fn store(&mut self, payload: &[u8]) -> Result<(), StoreError> {
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

    /// The whole file, for somebody to make last.
    fn finish(&mut self) -> Result<Box<dyn Upload>, StoreError> {
        let mut upload = self
            .upload
            .take()
            .ok_or(StoreError::Io(std::io::ErrorKind::NotFound.into()))?;
        if let Some(Text { decoder, local }) = &mut self.text {
            local.clear();
            decoder.finish(local);
            upload.append(local)?;
        }
        Ok(upload)
    }

    fn fail(&mut self, link: &mut Link, error: &StoreError, now: Instant) {
        link.trouble = Some(match error {
            StoreError::TooLarge { limit } => Cause::TooLarge { limit: *limit },
            _ => Cause::Store {
                code: error.wire_code(),
                why: error.to_string(),
            },
        });
        self.upload = None;
        self.receiver.handle(Input::Abort(error.wire_code()), now);
    }
}

impl fmt::Debug for Receiving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving")
            .field("receiver", &self.receiver)
            .finish_non_exhaustive()
    }
}
