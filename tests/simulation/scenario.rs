//! One case: what is fetched, how, and over what a link.

use std::{rc::Rc, time::Duration};

use tests::link::{Quality, Rng};
use tftpd::proto::{Blksize, Options, Windowsize};

/// Everything that decides a run. Two runs of equal scenarios are equal.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    /// Bytes in the file.
    pub(crate) size: usize,
    pub(crate) blksize: u16,
    pub(crate) window: u16,
    /// Whether the client asks for the size, and so gets an OACK even where the rest is default.
    pub(crate) asks_size: bool,
    /// From the client to the server.
    pub(crate) up: Quality,
    /// From the server to the client.
    pub(crate) down: Quality,
    /// Whether the hosts say that a port is closed.
    pub(crate) icmp: bool,
}

impl Scenario {
    /// A file of `blocks` blocks, the last one half full, over a steady link with a round trip of
    /// 20 ms.
    pub(crate) fn new(seed: u64, window: u16, blocks: usize) -> Self {
        let blksize = 16;
        Self {
            seed,
            size: (blocks - 1) * usize::from(blksize) + usize::from(blksize) / 2,
            blksize,
            window,
            asks_size: false,
            up: Quality::steady(Duration::from_millis(10)),
            down: Quality::steady(Duration::from_millis(10)),
            icmp: true,
        }
    }

    /// The same in both directions.
    pub(crate) fn over(self, quality: Quality) -> Self {
        Self {
            up: quality,
            down: quality,
            ..self
        }
    }

    /// As many of a thousand datagrams are lost, each way.
    pub(crate) fn losing(mut self, per_mille: u32) -> Self {
        self.up.loss = per_mille;
        self.down.loss = per_mille;
        self
    }

    pub(crate) fn blocks(&self) -> u64 {
        (self.size / usize::from(self.blksize) + 1) as u64
    }

    /// How many DATA a window protocol sends on average: of each window, what lies in order before
    /// the first gap counts, and the rest goes out again. Overtaken is as good as lost.
    pub(crate) fn expected_data(&self) -> u64 {
        const WHOLE: u64 = 1_000_000;
        let arrives = 1000 - u64::from(self.down.loss + self.down.reorder);
        let returns = 1000 - u64::from(self.up.loss);
        let (mut chance, mut in_order) = (WHOLE, 0);
        for _ in 0..self.window {
            chance = chance * arrives / 1000;
            in_order += chance;
        }
        self.blocks() * u64::from(self.window) * WHOLE / in_order * 1000 / returns
    }

    /// What the client asks for: nothing that would be had anyway.
    pub(crate) fn asked(&self) -> Options {
        Options {
            blksize: (self.blksize != 512)
                .then(|| Blksize::new(self.blksize).expect("a block size of the RFC")),
            windowsize: (self.window != 1)
                .then(|| Windowsize::new(self.window).expect("not empty")),
            tsize: self.asks_size.then_some(0),
            ..Options::default()
        }
    }

    /// What the client asks for that has the file: the same, and it knows the size.
    pub(crate) fn announced(&self) -> Options {
        Options {
            tsize: self.asks_size.then_some(self.size as u64),
            ..self.asked()
        }
    }

    /// The same with the link turned round: what an upload sends up is what a download sends down.
    pub(crate) fn turned(&self) -> Self {
        Self {
            up: self.down,
            down: self.up,
            ..self.clone()
        }
    }

    /// What the server has, or gets: random bytes, other ones for each seed.
    pub(crate) fn file(&self) -> Rc<[u8]> {
        Rng::new(!self.seed).bytes(self.size).into()
    }
}

/// Windows that tile a boundary differently.
pub(crate) const WINDOWS: [u16; 7] = [1, 2, 3, 4, 8, 16, 64];

/// One of each kind of link.
pub(crate) fn links() -> [Quality; 6] {
    let plain = Quality {
        jitter: 50,
        ..Quality::steady(Duration::from_millis(10))
    };
    [
        Quality::steady(Duration::from_micros(50)),
        Quality { loss: 10, ..plain },
        Quality { loss: 50, ..plain },
        Quality {
            duplicate: 50,
            ..plain
        },
        Quality {
            reorder: 50,
            ..plain
        },
        Quality {
            loss: 50,
            duplicate: 50,
            reorder: 50,
            ..plain
        },
    ]
}

pub(crate) fn sizes_around_boundaries(window: u16) -> [usize; 8] {
    let blksize = 16;
    let whole = blksize * usize::from(window);
    [
        0,
        1,
        blksize - 1,
        blksize,
        blksize + 1,
        whole - 1,
        whole,
        whole + 1,
    ]
}

/// Any size, window, block size and link with jitter; as yet nothing is lost.
pub(crate) fn anything(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed);
    let delay = Duration::from_micros(*rng.pick(&[50, 500, 10_000, 100_000]));
    let link = Quality {
        jitter: *rng.pick(&[0, 20, 50]),
        ..Quality::steady(delay)
    };
    let window = *rng.pick(&WINDOWS);
    let blksize = *rng.pick(&[8, 16, 100, 512]);
    let blocks = 1 + rng.below(150);
    let size = blocks * u64::from(blksize) - rng.below(u64::from(blksize));
    Scenario {
        size: usize::try_from(size).expect("a small file"),
        blksize,
        asks_size: rng.chance(500),
        icmp: rng.chance(500),
        ..Scenario::new(seed, window, 1)
    }
    .over(link)
}

/// Says which scenario it was when a test fails.
pub(crate) struct Blame<'a>(pub(crate) &'a Scenario);

impl Drop for Blame<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with {:#?}", self.0);
        }
    }
}
