//! One of many clients that read and write files which no two of them share.

use std::collections::BTreeMap;

use tests::client::Client;

/// How a client goes about its transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// Reads its file to the end.
    Finishes,
    /// Says after some blocks that it has had enough.
    Aborts,
    /// Falls silent after some blocks, and keeps its port.
    FallsSilent,
    /// Closes its port after some blocks.
    Vanishes,
    /// Begins anew after some blocks, with another file, from the same port.
    Reboots,
    /// Asks first for a file that is not there.
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

/// What is in file number `file`: every eight bytes tell the file and the place.
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
    /// The next block that is awaited, from 1 on.
    next: u16,
    /// The block at which the fate has its way.
    turn: u16,
    /// Files that this client asked for before, by the address they came from.
    before: BTreeMap<std::net::SocketAddr, u32>,
    read: Vec<u8>,
}

/// Whether a client will say more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    Goes,
    Ended,
}

impl Reader {
    /// A client that will ask for this file in blocks and windows of these sizes.
    pub(crate) fn new(client: Client, fate: Fate, file: u32, shape: (usize, u16)) -> Self {
        let (blksize, windowsize) = shape;
        Self {
            client: Some(client),
            fate,
            file,
            blksize,
            windowsize,
            next: 1,
            turn: 1 + u16::try_from(file % 4).unwrap_or(0),
            before: BTreeMap::new(),
            read: Vec::new(),
        }
    }

    /// Asks for the file; one that errs asks for another before, and is told that there is none.
    #[track_caller]
    pub(crate) fn begin(&mut self) {
        let Some(client) = &mut self.client else {
            return;
        };
        if self.fate == Fate::Errs {
            let heard = client.ask("RRQ absent octet");
            assert_eq!(heard, "ERROR 1 \"File not found\"");
        }
        self.ask();
    }

    fn ask(&mut self) {
        (self.next, self.read) = (1, Vec::new());
        let Some(client) = &self.client else { return };
        let options = match (self.blksize, self.windowsize) {
            (512, 1) => String::new(),
            (blksize, windowsize) => format!(" blksize={blksize} windowsize={windowsize}"),
        };
        client.send(&format!("RRQ file-{} octet{options}", self.file));
    }

    /// Takes the next datagram, and answers as it does.
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
                State::Goes
            }
            Some([0, 3, high, low, payload @ ..]) => {
                let block = u16::from_be_bytes([*high, *low]);
                match self.before.get(&from) {
                    // On its way before the client began anew.
                    Some(file) => self.check(*file, block, payload),
                    None => return self.block(block, payload),
                }
                State::Goes
            }
            other => panic!("file {} ({:?}): {other:?}", self.file, self.fate),
        }
    }

    #[track_caller]
    fn block(&mut self, block: u16, payload: &[u8]) -> State {
        self.check(self.file, block, payload);
        if block != self.next {
            // Repeated: this client was slow, for it takes its turn with all the others.
            return State::Goes;
        }
        self.read.extend(payload);
        self.next += 1;
        if self.turn == block && self.fate != Fate::Finishes && self.fate != Fate::Errs {
            return self.turn_away();
        }
        let last = payload.len() < self.blksize;
        if last || block.is_multiple_of(self.windowsize) {
            self.acknowledge(block);
        }
        if last { State::Ended } else { State::Goes }
    }

    fn acknowledge(&self, block: u16) {
        if let Some(client) = &self.client {
            client.send(&format!("ACK {block}"));
        }
    }

    /// The fate has its way.
    fn turn_away(&mut self) -> State {
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
                self.ask();
                return State::Goes;
            }
            Fate::FallsSilent | Fate::Finishes | Fate::Errs => {}
        }
        State::Ended
    }

    /// A block holds nothing but what stands at its place of its file.
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

    /// The whole file was read.
    #[track_caller]
    pub(crate) fn check_read(&self) {
        if matches!(self.fate, Fate::Finishes | Fate::Errs) {
            assert!(self.read == content(self.file), "file {}", self.file);
        }
    }
}
