//! The log on standard error, written by a thread of its own.
//!
//! A thread that logs puts the line into a bounded queue and goes on. The writer thread takes the
//! lines from there, so that a pipe whose reader stalls, a full disk or a closed pipe costs lines and
//! neither time nor the process. Lines that were dropped are counted, and reported once a write
//! succeeds again.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use tracing::{Level, warn};
use tracing_subscriber::fmt::MakeWriter;

use super::exit::Exit;
use super::failure::Failure;

/// Starts logging to standard error, in colour on a terminal. Called once, at the start; the log
/// is flushed when the returned value is dropped.
///
/// # Errors
/// [`Exit::System`] when the writer thread cannot be started.
pub fn start_logging(level: Level) -> Result<LogGuard, Failure> {
    // A descriptor of its own: the lock of `io::stderr` would be held while a write blocks.
    let stderr = io::stderr().as_fd().try_clone_to_owned();
    let started = stderr.and_then(|stderr| Queue::start(File::from(stderr)));
    let queue = started
        .map_err(|error| Failure::new(Exit::System, "the log cannot be opened").because(&error))?;
    tracing_subscriber::fmt()
        .with_writer(queue.clone())
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .with_max_level(level)
        .log_internal_errors(false)
        .init();
    Ok(LogGuard(queue))
}

/// Flushes the log when it is dropped, for a second at most.
#[derive(Debug)]
#[must_use = "dropping it at once would flush an empty log"]
pub struct LogGuard(Queue);

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.0.flush(FLUSH);
    }
}

/// The lines that wait to be written at most. Further ones are dropped.
const LINES: usize = 4096;

/// The lines of one write: as many as are ready, up to about this many bytes.
const WRITE: usize = 1 << 16;

/// The longest wait for the queue to empty at the end.
const FLUSH: Duration = Duration::from_secs(1);

/// The queue between the threads that log and the writer thread.
#[derive(Clone, Debug)]
struct Queue {
    messages: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

enum Message {
    Line(Vec<u8>),
    /// Answered once everything before it was written.
    Flush(mpsc::Sender<()>),
}

impl Queue {
    /// Starts the thread that writes to `sink`.
    fn start(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let (messages, receiver) = mpsc::sync_channel(LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(&receiver, sink, &counter))?;
        Ok(Self { messages, dropped })
    }

    /// Puts a line into the queue, or counts it as dropped. Never blocks.
    fn push(&self, line: &[u8]) {
        if self
            .messages
            .try_send(Message::Line(line.to_vec()))
            .is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until the lines in the queue are written, for `limit` at most.
    fn flush(&self, limit: Duration) {
        const STEP: Duration = Duration::from_millis(10);
        let (done, written) = mpsc::channel();
        let mut message = Message::Flush(done);
        let mut waited = Duration::ZERO;
        while let Err(error) = self.messages.try_send(message) {
            let TrySendError::Full(returned) = error else {
                return;
            };
            if waited >= limit {
                return;
            }
            message = returned;
            // A channel that stays empty: the wait of a thread that has nothing else to do.
            if let Err(RecvTimeoutError::Disconnected) = written.recv_timeout(STEP) {
                return;
            }
            waited += STEP;
        }
        let _ = written.recv_timeout(limit.saturating_sub(waited));
    }
}

/// Writes what is queued until all senders are gone.
fn write_lines(messages: &Receiver<Message>, mut sink: impl Write, dropped: &AtomicU64) {
    let mut lines = Vec::new();
    while let Ok(message) = messages.recv() {
        let mut next = Some(message);
        let (mut count, mut flushes) = (0, Vec::new());
        while let Some(message) = next {
            match message {
                Message::Line(line) => {
                    lines.extend_from_slice(&line);
                    count += 1;
                }
                Message::Flush(done) => flushes.push(done),
            }
            next = (lines.len() < WRITE)
                .then(|| messages.try_recv().ok())
                .flatten();
        }
        if count > 0 && sink.write_all(&lines).is_err() {
            dropped.fetch_add(count, Ordering::Relaxed);
        } else {
            let dropped = dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                warn!(
                    dropped,
                    "log lines were dropped: standard error could not be written"
                );
            }
        }
        lines.clear();
        for done in flushes {
            // The flush may have timed out.
            let _ = done.send(());
        }
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter(self)
    }
}

/// Writes to the queue; the subscriber writes each line in one call.
struct LineWriter<'a>(&'a Queue);

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// A sink that a test can block and make fail.
    #[derive(Clone, Default)]
    struct Sink(Arc<(Mutex<SinkState>, Condvar)>);

    #[derive(Default)]
    struct SinkState {
        written: Vec<u8>,
        is_blocked: bool,
        fails: bool,
    }

    impl Sink {
        fn set(&self, change: impl FnOnce(&mut SinkState)) {
            change(&mut self.0.0.lock().expect("no panic"));
            self.0.1.notify_all();
        }

        fn text(&self) -> String {
            let state = self.0.0.lock().expect("no panic");
            String::from_utf8(state.written.clone()).expect("text")
        }
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let state = self.0.0.lock().expect("no panic");
            let waiting = self.0.1.wait_while(state, |state| state.is_blocked);
            let mut state = waiting.expect("no panic");
            if state.fails {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn lines_are_written_in_their_order() {
        let sink = Sink::default();
        let queue = Queue::start(sink.clone()).expect("a thread");
        for line in ["first\n", "second\n", "third\n"] {
            queue.push(line.as_bytes());
        }
        queue.flush(LONG);
        assert_eq!(sink.text(), "first\nsecond\nthird\n");
    }

    #[test]
    fn a_sink_that_blocks_costs_lines_and_no_time() {
        let sink = Sink::default();
        sink.set(|state| state.is_blocked = true);
        let queue = Queue::start(sink.clone()).expect("a thread");
        for _ in 0..3 * LINES {
            queue.push(b"line\n");
        }
        queue.flush(Duration::from_millis(20)); // returns though nothing was written
        assert_eq!(sink.text(), "");
        // The queue, and the lines that the thread had taken before it blocked.
        let dropped = queue.dropped.load(Ordering::Relaxed);
        assert!((1..=2 * LINES as u64).contains(&dropped), "{dropped}");
        sink.set(|state| state.is_blocked = false);
        queue.flush(LONG);
        let written = sink.text().lines().count() as u64;
        assert_eq!(written + dropped, 3 * LINES as u64);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_writing_goes_on() {
        let sink = Sink::default();
        sink.set(|state| state.fails = true);
        let queue = Queue::start(sink.clone()).expect("a thread");
        queue.push(b"lost\n");
        queue.flush(LONG);
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 1);
        sink.set(|state| state.fails = false);
        queue.push(b"kept\n");
        queue.flush(LONG);
        assert_eq!(sink.text(), "kept\n");
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 0, "reported");
    }
}
