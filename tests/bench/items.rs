//! The measured cases.

use std::time::Duration;

use crate::lab::{CLIENT, SERVER};
use crate::load::Load;
use crate::transfer::Job;

/// The items of the command line, each with a description.
pub(crate) const ITEMS: [(&str, &str); 6] = [
    ("single", "one transfer, window by window"),
    ("many", "64 concurrent transfers of 16 MiB"),
    (
        "storm",
        "a boot storm: many machines within a second, 1 MiB each",
    ),
    ("small", "20,000 files of 1 KiB, 64 at a time"),
    (
        "idle",
        "transfers held open by silent clients, and their memory",
    ),
    ("calls", "system calls, counted by strace in separate runs"),
];

/// One line of the table, for each server.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) item: &'static str,
    pub(crate) title: String,
    pub(crate) file_size: u32,
    pub(crate) blksize: u16,
    pub(crate) window: u16,
    pub(crate) mtu: u16,
    clients: usize,
    concurrent: usize,
    per_second: Option<u32>,
    pause: bool,
}

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

/// Block size and MTU: a block that fills an Ethernet frame, and the largest block, on a link for it.
const FRAME: (u16, u16) = (1468, 1500);
const LARGEST: (u16, u16) = (65464, 65535);

/// A client that has not ended within this time has failed.
const LIMIT: Duration = Duration::from_secs(180);

/// All cases; `quick` ones have fewer bytes and clients.
pub(crate) fn cases(quick: bool) -> Vec<Case> {
    let one = |size: u32, window, (blksize, mtu)| Case {
        item: "single",
        title: format!("{} MiB, blksize {blksize}, w={window}", size / MIB),
        blksize,
        mtu,
        ..Case::new(size, window, 1, 1)
    };
    let size = if quick { 64 * MIB } else { 256 * MIB };
    let mut cases = [1, 16, 64].map(|window| one(size, window, FRAME)).to_vec();
    cases.push(one(size, 1, LARGEST));
    cases.extend([1, 16].map(|window| Case {
        item: "many",
        title: format!("64 × 16 MiB, w={window}"),
        ..Case::new(16 * MIB, window, 64, 64)
    }));
    let storms: &[u32] = if quick { &[500] } else { &[2000, 10_000] };
    cases.extend(storms.iter().map(|&storm| Case {
        item: "storm",
        title: format!("{storm} × 1 MiB within a second, w=4"),
        per_second: Some(storm),
        ..Case::new(MIB, 4, storm as usize, storm as usize)
    }));
    cases.push(Case {
        item: "small",
        title: "20000 × 1 KiB, 64 at a time".to_owned(),
        ..Case::new(KIB, 1, 20_000, 64)
    });
    let idle = if quick { 2000 } else { 10_000 };
    cases.push(Case {
        item: "idle",
        title: format!("{idle} held open, 16 KiB, w=1"),
        per_second: Some(2500),
        pause: true,
        ..Case::new(16 * KIB, 1, idle, idle)
    });
    cases.extend([1, 16, 64].map(|window| Case {
        item: "calls",
        ..one(16 * MIB, window, FRAME)
    }));
    cases.push(Case {
        item: "calls",
        title: "2000 × 1 KiB, 64 at a time".to_owned(),
        ..Case::new(KIB, 1, 2000, 64)
    });
    cases
}

impl Case {
    fn new(file_size: u32, window: u16, clients: usize, concurrent: usize) -> Self {
        let (blksize, mtu) = FRAME;
        Self {
            item: "",
            title: String::new(),
            file_size,
            blksize,
            window,
            mtu,
            clients,
            concurrent,
            per_second: None,
            pause: false,
        }
    }

    /// The name of the file that is read.
    pub(crate) fn file(&self) -> String {
        format!("file-{}", self.file_size)
    }

    /// The clients, for a file with this content.
    pub(crate) fn load<'a>(&self, file: &'a str, content: &'a [u8]) -> Load<'a> {
        Load {
            job: Job {
                server: SERVER,
                file,
                content,
                blksize: self.blksize,
                window: self.window,
                pause: self.pause,
            },
            clients: self.clients,
            concurrent: self.concurrent,
            per_second: self.per_second,
            address: CLIENT,
            limit: LIMIT,
        }
    }

    /// The unit of system calls, and its number: windows of a transfer, or transfers.
    pub(crate) fn unit(&self) -> (&'static str, u64) {
        if self.clients > 1 {
            return ("transfer", self.clients as u64);
        }
        let blocks = u64::from(self.file_size / u32::from(self.blksize)) + 1;
        ("window", blocks.div_ceil(self.window.into()))
    }
}
