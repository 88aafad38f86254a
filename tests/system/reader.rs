//! One of many concurrent clients, each with a file of its own.

use std::collections::BTreeMap;

use tests::client::Client;

/// The course of a client's transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// Reads its file to the end.
    Finishes,
    /// Sends an ERROR after some blocks.
    Aborts,
    /// Sends nothing after some blocks, and keeps its port.
    FallsSilent,
    /// Closes its port after some blocks.
    Vanishes,
    /// Restarts after some blocks with another file, from the same port.
    Reboots,
    /// Requests an absent file first.
    Errs,
}

pub(crate) const FATES: [Fate; 6] = [
    Fate::Finishes,
    Fate::Aborts,
    Fate::FallsSilent,
    Fate::Vanishes,
    Fate::Reboots,
    Fate::Errs,
];

/// The content of file number `file`: every eight bytes contain the file and the position.
pub(crate) fn content(file: u32) -> Vec<u8> {
    let size = 2000 + 37 * (file as usize % 211);
    let words = (0_u32..).flat_map(|word| [file.to_be_bytes(), word.to_be_bytes()].concat());
    words.take(size).collect()
}

/// A client in the middle of a transfer.
pub(crate) struct Reader {
    client: Option<Client>,
    fate: Fate,
    file: u32,
    blksize: usize,
    windowsize: u16,
    /// The next block in order, from 1 on.
    next: u16,
    /// The block after which the fate is applied.
    fated_block: u16,
    /// Files that this client requested before, by the address of their transfer.
    before: BTreeMap<std::net::SocketAddr, u32>,
    read: Vec<u8>,
}

/// The state of a client after a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    Running,
    Ended,
}

impl Reader {
    /// A client of this file with these block and window sizes.
    pub(crate) fn new(client: Client, fate: Fate, file: u32, shape: (usize, u16)) -> Self {
        let (blksize, windowsize) = shape;
        Self {
            client: Some(client),
            fate,
            file,
            blksize,
            windowsize,
            next: 1,
            fated_block: 1 + u16::try_from(file % 4).unwrap_or(0),
            before: BTreeMap::new(),
            read: Vec::new(),
        }
    }

    /// Requests the file; with [`Fate::Errs`] after the refusal of an absent one.
    #[track_caller]
    pub(crate) fn begin(&mut self) {
        let Some(client) = &mut self.client else {
            return;
        };
        if self.fate == Fate::Errs {
            let answer = client.ask("RRQ absent octet");
            assert_eq!(answer, "ERROR 1 \"File not found\"");
        }
        self.request();
    }

    fn request(&mut self) {
        (self.next, self.read) = (1, Vec::new());
        let Some(client) = &self.client else { return };
        let options = match (self.blksize, self.windowsize) {
            (512, 1) => String::new(),
            (blksize, windowsize) => format!(" blksize={blksize} windowsize={windowsize}"),
        };
        client.send(&format!("RRQ file-{} octet{options}", self.file));
    }

    /// Receives the next datagram, and answers it.
    #[track_caller]
    pub(crate) fn step(&mut self) -> State {
        let Some(client) = &mut self.client else {
            return State::Ended;
        };
        let bytes = client.receive();
        let from = client.transfer();
        match bytes.as_deref() {
            Some([0, 6, ..]) => {
                client.send("ACK 0");
                State::Running
            }
            Some([0, 3, high, low, payload @ ..]) => {
                let block = u16::from_be_bytes([*high, *low]);
                match self.before.get(&from) {
                    // Sent before the client restarted.
                    Some(file) => self.check(*file, block, payload),
                    None => return self.block(block, payload),
                }
                State::Running
            }
            other => panic!("file {} ({:?}): {other:?}", self.file, self.fate),
        }
    }

    #[track_caller]
    fn block(&mut self, block: u16, payload: &[u8]) -> State {
        self.check(self.file, block, payload);
        if block != self.next {
            // Repeated by the server: the steps of the other clients delayed this one.
            return State::Running;
        }
        self.read.extend(payload);
        self.next += 1;
        if self.fated_block == block && self.fate != Fate::Finishes && self.fate != Fate::Errs {
            return self.apply_fate();
        }
        let last = payload.len() < self.blksize;
        if last || block.is_multiple_of(self.windowsize) {
            self.acknowledge(block);
        }
        if last { State::Ended } else { State::Running }
    }

    fn acknowledge(&self, block: u16) {
        if let Some(client) = &self.client {
            client.send(&format!("ACK {block}"));
        }
    }

    /// Applies the fate.
    fn apply_fate(&mut self) -> State {
        match self.fate {
            Fate::Vanishes => self.client = None,
            Fate::Aborts => {
                if let Some(client) = self.client.take() {
                    client.send("ERROR 0 \"enough\"");
                }
            }
            Fate::Reboots => {
                if let Some(client) = &self.client {
                    self.before.insert(client.transfer(), self.file);
                }
                (self.fate, self.file) = (Fate::Finishes, self.file + 1000);
                self.request();
                return State::Running;
            }
            Fate::FallsSilent | Fate::Finishes | Fate::Errs => {}
        }
        State::Ended
    }

    /// Asserts that a block has the content of its position in its file.
    #[track_caller]
    fn check(&self, file: u32, block: u16, payload: &[u8]) {
        let content = content(file);
        let start = usize::from(block - 1) * self.blksize;
        let end = content.len().min(start + self.blksize);
        assert_eq!(
            content.get(start..end),
            Some(payload),
            "block {block} of file {file} ({:?}) is foreign",
            self.fate
        );
    }

    /// Asserts that the whole file was read.
    #[track_caller]
    pub(crate) fn check_read(&self) {
        if matches!(self.fate, Fate::Finishes | Fate::Errs) {
            assert!(self.read == content(self.file), "file {}", self.file);
        }
    }
}
