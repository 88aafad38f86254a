//! What loss costs, as a table: for each window and each share lost, how much is sent and how long
//! it takes. `cargo test -p tests --test simulation table -- --nocapture` prints it.

use std::{fmt::Write as _, time::Duration};

use tests::link::Quality;

use crate::{scenario::Scenario, world::fetch};

const WINDOWS: [u16; 5] = [1, 4, 8, 16, 64];
/// Per mille, each way.
const LOSSES: [u32; 4] = [0, 10, 50, 200];
const BLOCKS: u32 = 640;
const SEEDS: u32 = 20;

#[test]
fn loss_costs_what_a_window_protocol_must_pay_and_little_more() {
    let mut table = String::from("window  loss  DATA/block  expected  round trips\n");
    for window in WINDOWS {
        for loss in LOSSES {
            let row = Row::measure(window, loss);
            writeln!(table, "{row}").expect("a string takes all");
            let most = row.expected * 115 / 100;
            assert!(row.data <= most, "more than {most}\n{table}");
        }
    }
    println!("{table}");
}

#[test]
fn a_window_of_sixteen_is_faster_than_one_block_at_a_time_whatever_is_lost() {
    for loss in LOSSES {
        let [one, sixteen] = [1, 16].map(|window| Row::measure(window, loss).took);
        assert!(
            sixteen * 2 < one,
            "{loss} of a thousand lost: {sixteen:?} and {one:?}"
        );
    }
}

struct Row {
    window: u16,
    loss: u32,
    /// DATA in a thousandth of the blocks of the file.
    data: u64,
    /// What a window protocol sends on average, likewise.
    expected: u64,
    took: Duration,
}

const ROUND_TRIP: Duration = Duration::from_millis(20);

impl Row {
    fn measure(window: u16, loss: u32) -> Self {
        let link = Quality {
            jitter: 20,
            loss,
            ..Quality::steady(ROUND_TRIP / 2)
        };
        let (mut data, mut expected, mut took) = (0, 0, Duration::ZERO);
        for seed in 0..SEEDS {
            let scenario = Scenario::new(seed.into(), window, BLOCKS as usize).over(link);
            let fetched = fetch(&scenario);
            data += fetched.report.tally.data;
            expected += scenario.expected_data();
            took += fetched.report.client_took;
        }
        let all = u64::from(BLOCKS * SEEDS);
        Self {
            window,
            loss,
            data: data * 1000 / all,
            expected: expected * 1000 / all,
            took: took / SEEDS,
        }
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            window,
            loss,
            data,
            expected,
            took,
        } = self;
        let trips = took.as_secs_f64() / ROUND_TRIP.as_secs_f64();
        write!(
            f,
            "{window:>6} {:>3} %  {:>6}.{:03}  {:>4}.{:03}  {trips:>11.0}",
            loss / 10,
            data / 1000,
            data % 1000,
            expected / 1000,
            expected % 1000,
        )
    }
}
