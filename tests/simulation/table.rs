//! The cost of loss as a table: DATA packets and time for each window and loss rate. `cargo test -p tests --test simulation table -- --nocapture` prints it.

use std::{fmt::Write as _, time::Duration};

use tests::link::Quality;

use crate::{scenario::Scenario, world::fetch};

const WINDOWS: [u16; 5] = [1, 4, 8, 16, 64];
/// Per mille, each way.
const LOSSES: [u32; 4] = [0, 10, 50, 200];
const BLOCKS: u32 = 640;
const SEEDS: u32 = 20;

#[test]
fn loss_costs_at_most_15_percent_more_data_than_expected_of_a_window_protocol() {
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
fn a_window_of_sixteen_is_twice_as_fast_as_single_blocks_at_any_loss() {
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
    /// DATA packets per thousand blocks of the file.
    data: u64,
    /// The average of a window protocol, in the same unit.
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
