//! How many ERRORs there are for packets that belong to no transfer.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    time::Instant,
};

use crate::policy::limit::{Bucket, ClientBuckets, PrefixLengths, Rate};

/// Bounds the answers to strays of one thread, for each neighbourhood and in all. A program that is
/// looked for with the wrong tool gets its answer; a flood, which may come in anybody's name, gets
/// as good as none.
#[derive(Debug)]
pub(super) struct Strays {
    neighbours: ClientBuckets,
    all: Bucket,
}

/// How many neighbourhoods are told apart.
const PLACES: NonZeroU32 = NonZeroU32::new(1024).expect("not zero");

impl Strays {
    pub(super) fn new() -> Self {
        let random = RandomState::new();
        let secret = [random.hash_one(0), random.hash_one(1)];
        let prefixes = PrefixLengths::default();
        Self {
            neighbours: ClientBuckets::new(per_second(10, 20), prefixes, PLACES, secret),
            all: Bucket::default(),
        }
    }

    /// Whether one more stray of this client is answered.
    pub(super) fn may_answer(&mut self, client: IpAddr, now: Instant) -> bool {
        self.neighbours.take(client, now) && self.all.take(per_second(200, 200), now)
    }
}

fn per_second(rate: u32, burst: u32) -> Rate {
    let nonzero = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    Rate::per_second(nonzero(rate), nonzero(burst))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_brings_few_answers_and_leaves_some_for_others() {
        let (mut strays, start) = (Strays::new(), crate::net::now());
        let mut answered = |client: [u8; 4], after| {
            strays.may_answer(client.into(), start + Duration::from_millis(after))
        };
        let flood = (0..10_000).filter(|_| answered([192, 0, 2, 1], 0)).count();
        assert_eq!(flood, 20);
        assert!(
            !answered([192, 0, 2, 200], 0),
            "a neighbour shares the bound"
        );
        assert!(answered([198, 51, 100, 1], 0), "others have their own");
        assert!(answered([192, 0, 2, 1], 100), "it passes");
        let everybody = (0..250)
            .filter(|net| answered([10, 0, *net, 1], 100))
            .count();
        assert!(everybody <= 200, "{everybody} answers");
    }
}
