//! Medians, and a table of them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Long enough to see past a neighbour on the same machine.
const TIME: Duration = Duration::from_millis(400);
/// Turns between two looks at the clock, where a turn takes less than the look.
const BATCH: u32 = 200;

/// The median time of a turn in nanoseconds, from batches.
pub(crate) fn nanoseconds(mut work: impl FnMut(u32)) -> f64 {
    let mut turn = 0;
    let begun = Instant::now();
    let mut batches = Vec::new();
    while begun.elapsed() < TIME {
        let start = Instant::now();
        for _ in 0..BATCH {
            work(turn);
            turn = turn.wrapping_add(1);
        }
        batches.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH));
    }
    median(batches)
}

/// What a thread found that did its turns beside another one.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// The median time of a turn in nanoseconds, from batches.
    pub(crate) median: f64,
    /// The mean, which counts every wait for somebody else.
    pub(crate) mean: f64,
}

/// How fast a thread is.
pub(crate) fn pace(mut work: impl FnMut(u32)) -> Pace {
    let (mut turns, begun) = (0u32, Instant::now());
    let median = nanoseconds(|turn| {
        work(turn);
        turns = turns.wrapping_add(1);
    });
    let mean = begun.elapsed().as_secs_f64() * 1e9 / f64::from(turns);
    Pace { median, mean }
}

/// The median time of a turn in microseconds, for several ways to do the same. They take turns, so
/// that a neighbour on the machine disturbs all of them alike.
pub(crate) fn side_by_side<const N: usize>(mut ways: [&mut dyn FnMut(u32); N]) -> [f64; N] {
    let (mut turn, begun) = (0, Instant::now());
    let mut turns = [(); N].map(|()| Vec::new());
    while begun.elapsed() < TIME * 2 {
        for (way, turns) in ways.iter_mut().zip(&mut turns) {
            let start = Instant::now();
            way(turn);
            turns.push(start.elapsed().as_secs_f64() * 1e6);
        }
        turn = turn.wrapping_add(1);
    }
    turns.map(median)
}

/// The median time of a turn in microseconds.
pub(crate) fn microseconds(mut work: impl FnMut(u32)) -> f64 {
    let [median] = side_by_side([&mut work]);
    median
}

/// The mean time on the processor of a turn in microseconds, where a turn takes so long that others
/// run in between.
pub(crate) fn microseconds_on_processor(mut work: impl FnMut(u32)) -> f64 {
    const TURNS: u32 = 20;
    let before = on_processor();
    (0..TURNS).for_each(&mut work);
    let ran = on_processor().saturating_sub(before);
    ran.as_secs_f64() * 1e6 / f64::from(TURNS)
}

/// How long this thread has run: the first number, in nanoseconds.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let run = text
        .split_whitespace()
        .next()
        .and_then(|run| run.parse().ok());
    Duration::from_nanos(run.unwrap_or(0))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One line of the table.
pub(crate) struct Row {
    name: &'static str,
    values: Vec<f64>,
}

impl Row {
    pub(crate) fn new<const N: usize>(name: &'static str, values: [f64; N]) -> Self {
        Self {
            name,
            values: values.into(),
        }
    }
}

pub(crate) fn table(title: &str, columns: &[&str], rows: &[Row]) -> String {
    let mut text = format!("| {title:44} |");
    for column in columns {
        let _ = write!(text, " {column:>8} |");
    }
    let _ = write!(text, "\n|{}|", "-".repeat(46));
    for _ in columns {
        text.push_str("---------:|");
    }
    for row in rows {
        let _ = write!(text, "\n| {:44} |", row.name);
        for value in &row.values {
            let digits = if *value < 20.0 { 2 } else { 0 };
            let _ = write!(text, " {value:>8.digits$} |");
        }
    }
    text.push('\n');
    text
}
