//! A file on its way to a client.

use std::time::Instant;

use crate::{
    net::{SendError, stride},
    proto::{Sender, SenderOutput, Terms},
};

use super::{
    session::{Link, Next, Workspace},
    source::Source,
};

/// The state machine, and where its bytes come from.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) sender: Sender,
    pub(super) source: Source,
}

impl Sending {
    /// Does what the sender asks for until it waits; answers with the time it waits for.
    pub(super) fn drive(
        &mut self,
        link: &mut Link,
        work: &mut Workspace,
        now: Instant,
    ) -> (Next, Option<Instant>) {
        loop {
            let sent = match self.sender.poll() {
                SenderOutput::Wait(deadline) => return (Next::Wait, Some(deadline)),
                SenderOutput::Done => return (Next::End, None),
                SenderOutput::Blocks { first, count } => self.send_blocks(link, work, first, count),
                SenderOutput::Oack(options) => link.send_oack(work, options),
                SenderOutput::Error(code) => {
                    link.send_error(work, code);
                    Ok(())
                }
            };
            if let Err(error) = sent
                && let Some(input) = link.not_sent(error)
            {
                self.sender.handle(input, now);
            }
        }
    }

    fn send_blocks(
        &mut self,
        link: &mut Link,
        work: &mut Workspace,
        first: u64,
        count: u16,
    ) -> Result<(), SendError> {
        let Terms {
            blksize, rollover, ..
        } = *self.sender.terms();
        let end = first + u64::from(count);
        self.source.release_before(first);
        let mut next = first;
        while next < end {
            let left = u16::try_from(end - next).unwrap_or(u16::MAX);
            let packets = self
                .source
                .packets(&mut work.window, (blksize, rollover), next, left)
                .map_err(SendError::Io)?;
            next += u64::from(packets.count);
            if packets.end {
                self.sender.ends_with(next - 1);
            }
            link.send_run(packets.bytes, stride(blksize))?;
            if packets.end {
                break;
            }
        }
        Ok(())
    }
}
