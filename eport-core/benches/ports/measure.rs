//! Medians, and a table of them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Long enough to average out other load of the machine.
const TIME: Duration = Duration::from_millis(400);
/// Iterations per reading of the clock, where an iteration takes less than the reading.
const BATCH: u32 = 200;
/// Iterations of two threads between two meetings: shorter than a time slice of the scheduler.
const BATCH_OF_TWO: u32 = 100;
/// Spins of a thread that waits for the other one, before it yields.
const TRIES: u32 = 10_000;

/// The median time of an iteration in nanoseconds, from batches.
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

/// The median time of an iteration in nanoseconds while another thread does the same.
///
/// Both begin each batch together. A mean would include the time in which the system runs other
/// processes; a median over many batches does not.
pub(crate) fn nanoseconds_of_two(work: impl Fn(u32) + Sync) -> f64 {
    let arrived = [AtomicU32::new(0), AtomicU32::new(0)];
    let [this, that] = &arrived;
    let [first, second] = std::thread::scope(|scope| {
        let threads = [(this, that), (that, this)].map(|(own, other)| {
            let work = &work;
            scope.spawn(move || batches_beside(own, other, work))
        });
        threads.map(|thread| thread.join().expect("no panic"))
    });
    let both = first.iter().zip(&second);
    median(
        both.filter_map(|(a, b)| Some(a.as_ref()?.max(*b.as_ref()?)))
            .collect(),
    )
}

/// The times of an iteration in batches that both threads began together; these are rare on a busy
/// machine, so there is more time for them.
fn batches_beside(own: &AtomicU32, other: &AtomicU32, work: impl Fn(u32)) -> Vec<Option<f64>> {
    let begun = Instant::now();
    let mut batches = Vec::new();
    for round in 1u32.. {
        own.store(round, Ordering::SeqCst);
        let is_together = meet(other, round);
        let start = Instant::now();
        (0..BATCH_OF_TWO).for_each(|turn| work(round * BATCH_OF_TWO + turn));
        let took = start.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH_OF_TWO);
        batches.push(is_together.then_some(took));
        if begun.elapsed() > TIME * 5 {
            break;
        }
    }
    // The other thread has to finish its last rounds alone.
    own.store(u32::MAX, Ordering::SeqCst);
    batches
}

/// Waits for the other thread; returns true if it arrived before this one yielded.
fn meet(other: &AtomicU32, round: u32) -> bool {
    let mut tries = 0u32;
    while other.load(Ordering::SeqCst) < round {
        tries += 1;
        if tries > TRIES {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
    tries <= TRIES && other.load(Ordering::SeqCst) != u32::MAX
}

/// The median time of an iteration in microseconds.
pub(crate) fn microseconds(mut work: impl FnMut(u32)) -> f64 {
    let (mut turn, begun) = (0, Instant::now());
    let mut turns = Vec::new();
    while begun.elapsed() < TIME {
        let start = Instant::now();
        work(turn);
        turns.push(start.elapsed().as_secs_f64() * 1e6);
        turn = turn.wrapping_add(1);
    }
    median(turns)
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
