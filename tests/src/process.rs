//! Child processes that are killed with their test, and whose output a test can wait for.

use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::host;

/// A running program; dropping it kills its process group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: Arc<Log>,
}

impl Process {
    /// Starts a program in a process group of its own, without standard input, and collects both of
    /// its outputs.
    ///
    /// # Panics
    /// If the program cannot be started.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self::with_input(command, Stdio::null())
    }

    /// Starts a program with a standard input, like [`start`](Self::start).
    ///
    /// # Panics
    /// If the program cannot be started.
    #[track_caller]
    pub fn with_input(command: &mut Command, input: Stdio) -> Self {
        let name = shown(command);
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let log = Arc::new(Log::default());
        log.follow(child.stdout.take());
        log.follow(child.stderr.take());
        Self { name, child, log }
    }

    /// Runs a program to its end and returns its output.
    ///
    /// # Panics
    /// If it cannot be started, ends with a status other than 0, or runs longer than the limit.
    #[track_caller]
    pub fn run(command: &mut Command, limit: Duration) -> String {
        let mut process = Self::start(command);
        let status = process.wait(limit);
        assert!(
            status.success(),
            "{} ended with {status}:\n{}",
            process.name,
            process.output()
        );
        process.output()
    }

    /// Waits for a complete line that contains `what`, from the start of the output on, and returns it.
    ///
    /// # Panics
    /// If the program ends, or the limit passes, before it has written such a line.
    #[track_caller]
    pub fn wait_for_line(&self, what: &str, limit: Duration) -> String {
        self.line_with(what, limit).unwrap_or_else(|| {
            let ended = self.log.text().writers == 0;
            let when = if ended {
                "before it ended".to_owned()
            } else {
                format!("within {limit:?}")
            };
            panic!(
                "{} has not written {what:?} {when}; it wrote:\n{}",
                self.name,
                self.output()
            )
        })
    }

    /// Waits for a complete line that contains `what`; returns `None` if the program ends, or the limit
    /// passes, before it has written such a line.
    pub fn line_with(&self, what: &str, limit: Duration) -> Option<String> {
        self.log.wait(limit, |text| text.line_with(what))
    }

    /// Waits until the program has ended.
    ///
    /// # Panics
    /// After the limit.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let ended = self.ended_within(limit);
        ended.unwrap_or_else(|| {
            panic!(
                "{} has not ended within {limit:?}; it wrote:\n{}",
                self.name,
                self.output()
            )
        })
    }

    /// Waits until the program has ended; returns `None` after the limit.
    ///
    /// # Panics
    /// Never: only this type waits for the child.
    pub fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.log
            .wait(limit, |text| (text.writers == 0).then_some(()))?;
        Some(
            self.child
                .wait()
                .expect("the child is waited for here only"),
        )
    }

    /// Sends SIGINT to the program.
    pub fn interrupt(&self) {
        // An error means that it has ended already.
        let _ = kill(self.pid(), Signal::SIGINT);
    }

    /// Returns the output so far, both streams in the order they were read.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.log.text().bytes).into_owned()
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns its resident memory, in bytes.
    ///
    /// # Panics
    /// If it has ended.
    #[track_caller]
    pub fn memory(&self) -> u64 {
        let status = host::read_text(format!("/proc/{}/status", self.id()).as_ref());
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.unwrap_or_else(|| panic!("{} has ended", self.name)) * 1024
    }

    /// Returns the number of its open file descriptors; 0 once it has ended.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).map_or(0, Iterator::count)
    }

    /// Returns the process identifier.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that the group is empty.
        let _ = killpg(self.pid(), Signal::SIGKILL);
        drop(self.child.wait());
    }
}

/// The output of a program, and the number of its open outputs.
#[derive(Debug, Default)]
struct Log {
    text: Mutex<Text>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Text {
    bytes: Vec<u8>,
    writers: usize,
}

impl Log {
    fn follow(self: &Arc<Self>, source: Option<impl Read + Send + 'static>) {
        let Some(mut source) = source else { return };
        self.text().writers += 1;
        let log = Arc::clone(self);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = source.read(&mut chunk) {
                log.text()
                    .bytes
                    .extend_from_slice(chunk.get(..length).unwrap_or_default());
                log.grown.notify_all();
            }
            log.text().writers -= 1;
            log.grown.notify_all();
        });
    }

    /// Waits until `find` returns a value, the outputs are closed, or the limit has passed.
    fn wait<T>(&self, limit: Duration, mut find: impl FnMut(&Text) -> Option<T>) -> Option<T> {
        let waiting = |text: &mut Text| text.writers > 0 && find(text).is_none();
        let (text, _) = self
            .grown
            .wait_timeout_while(self.text(), limit, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        find(&text)
    }

    fn text(&self) -> MutexGuard<'_, Text> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Text {
    fn line_with(&self, what: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        let (whole, _unfinished) = text.rsplit_once('\n')?;
        whole
            .lines()
            .find(|line| line.contains(what))
            .map(|line| line.trim_end().to_owned())
    }
}

/// Formats a command as a shell line.
fn shown(command: &Command) -> String {
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Process {
        Process::start(Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn a_line_is_found_when_it_is_whole() {
        let process = shell("printf 'ready on 4'; printf '711\\n' >&2; sleep 60");
        assert!(process.wait_for_line("711", SOON).ends_with("711"));
    }

    #[test]
    #[should_panic(expected = "it wrote:\nother")]
    fn a_program_that_ends_without_the_line_fails_with_its_output() {
        shell("echo other").wait_for_line("ready", SOON);
    }

    #[test]
    fn dropping_a_process_ends_its_children_too() {
        let process = shell("sleep 600 & echo child $!; wait");
        let line = process.wait_for_line("child ", SOON);
        let child = line
            .split_whitespace()
            .last()
            .and_then(|id| id.parse().ok())
            .map(Pid::from_raw);
        let child = child.expect("the line ends with the id");
        assert!(kill(child, None).is_ok(), "the child runs");
        drop(process);
        let gone = || {
            let stat = std::path::PathBuf::from(format!("/proc/{child}/stat"));
            // An orphan that is not reaped yet is a zombie.
            !stat.exists() || host::read_text(&stat).contains(") Z ")
        };
        assert!(host::wait_until(SOON, gone));
    }
}
