//! One case: the file, the options and the link.

use std::{rc::Rc, time::Duration};

use tests::link::{Quality, Rng};
use tftpd::proto::{Blksize, Options, Windowsize};

/// All inputs of a run. Two runs of equal scenarios are equal.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    /// Bytes in the file.
    pub(crate) size: usize,
    pub(crate) blksize: u16,
    pub(crate) window: u16,
    /// Set if the client sends `tsize`, and so receives an OACK even if the rest is default.
    pub(crate) with_tsize: bool,
    /// From the client to the server.
    pub(crate) up: Quality,
    /// From the server to the client.
    pub(crate) down: Quality,
    /// Set if the hosts answer datagrams to closed ports with ICMP errors.
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
            with_tsize: false,
            up: Quality::steady(Duration::from_millis(10)),
            down: Quality::steady(Duration::from_millis(10)),
            icmp: true,
        }
    }

    /// A file of `blocks` blocks of 8 bytes over a fast link.
    pub(crate) fn long(blocks: usize, window: u16) -> Self {
        let plain = Self::new(blocks as u64, window, 1);
        Self {
            blksize: 8,
            size: blocks * 8 - 3,
            ..plain
        }
        .over(Quality::steady(Duration::from_micros(50)))
    }

    /// Uses the link of this quality in both directions.
    pub(crate) fn over(self, quality: Quality) -> Self {
        Self {
            up: quality,
            down: quality,
            ..self
        }
    }

    /// Loses this many of a thousand datagrams, each way.
    pub(crate) fn losing(mut self, per_mille: u32) -> Self {
        self.up.loss = per_mille;
        self.down.loss = per_mille;
        self
    }

    pub(crate) fn blocks(&self) -> u64 {
        (self.size / usize::from(self.blksize) + 1) as u64
    }

    /// The DATA packets that a window protocol sends on average: of each window, the blocks in order
    /// before the first gap count, and the rest is sent again. A reordered block counts as lost.
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

    /// The options of a client that reads: none with a default value.
    pub(crate) fn options(&self) -> Options {
        let blksize = || Blksize::new(self.blksize).expect("a block size of the RFC");
        let windowsize = || Windowsize::new(self.window).expect("not empty");
        Options::default()
            .with_blksize((self.blksize != 512).then(blksize))
            .with_windowsize((self.window != 1).then(windowsize))
            .with_tsize(self.with_tsize.then_some(0))
    }

    /// The options of a client that writes: the same, with the size of its file.
    pub(crate) fn options_to_write(&self) -> Options {
        self.options()
            .with_tsize(self.with_tsize.then_some(self.size as u64))
    }

    /// Swaps the directions of the link: an upload sends up what a download sends down.
    pub(crate) fn reversed(&self) -> Self {
        Self {
            up: self.down,
            down: self.up,
            ..self.clone()
        }
    }

    /// The file: random bytes that differ for each seed.
    pub(crate) fn file(&self) -> Rc<[u8]> {
        Rng::new(!self.seed).bytes(self.size).into()
    }
}

/// Window sizes that divide a file in different ways.
pub(crate) const WINDOWS: [u16; 7] = [1, 2, 3, 4, 8, 16, 64];

/// Numbers of blocks around the wrap of the block number.
pub(crate) const AROUND_THE_WRAP: [usize; 3] = [65_535, 65_536, 65_537];

/// A link with a round trip of 20 ms and jitter, but without loss.
pub(crate) const JITTERY: Quality = Quality {
    jitter: 50,
    ..Quality::steady(Duration::from_millis(10))
};

/// One of each kind of link.
fn links() -> [Quality; 6] {
    let plain = JITTERY;
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

fn sizes_around_boundaries(window: u16) -> [usize; 8] {
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

/// A random size, window, block size and link with jitter but without loss.
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
        with_tsize: rng.chance(500),
        icmp: rng.chance(500),
        ..Scenario::new(seed, window, 1)
    }
    .over(link)
}

/// Every link with every window and every size around a boundary, twelve seeds of each.
pub(crate) fn around_boundaries() -> impl Iterator<Item = Scenario> {
    (0..).zip(links()).flat_map(|(kind, link)| {
        WINDOWS.into_iter().flat_map(move |window| {
            let sizes = sizes_around_boundaries(window).into_iter();
            sizes.flat_map(move |size| {
                (0..12).map(move |seed| {
                    let scenario = Scenario {
                        size,
                        ..Scenario::new(seed * 31 + kind, window, 1)
                    };
                    scenario.over(link)
                })
            })
        })
    })
}

/// As [`anything`], with loss, duplication and reordering in both directions.
pub(crate) fn with_every_defect(seed: u64) -> Scenario {
    let mut scenario = anything(seed).losing(50);
    for path in [&mut scenario.up, &mut scenario.down] {
        path.duplicate = 30;
        path.reorder = 30;
    }
    scenario
}

/// Prints the scenario of a test that fails.
pub(crate) struct PrintOnPanic<'a>(pub(crate) &'a Scenario);

impl Drop for PrintOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with {:#?}", self.0);
        }
    }
}
