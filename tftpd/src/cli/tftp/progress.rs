//! The progress bar of a transfer, and the line after it.

use std::{
    fmt::Display,
    io::{IsTerminal, stderr},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::client::{Progress, Transferred};

/// A progress bar if standard error is a terminal, else nothing. It is erased on drop.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Creates a bar called `name`, hidden unless `shown`.
    pub(super) fn new(name: String, shown: bool) -> Self {
        if !shown || !stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style(UNKNOWN_SIZE));
        Self(bar.with_message(name))
    }

    /// Returns the callback that moves the bar.
    pub(super) fn hook(&self) -> impl Fn(Progress) + Send + Sync + 'static {
        let bar = self.0.clone();
        move |progress| {
            if let Some(size) = progress.size
                && bar.length() != Some(size)
            {
                bar.set_length(size);
                bar.set_style(style(KNOWN_SIZE));
            }
            bar.set_position(progress.transferred);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

const KNOWN_SIZE: &str = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
const UNKNOWN_SIZE: &str = "{msg} {spinner} {bytes} {bytes_per_sec}";

fn style(template: &str) -> ProgressStyle {
    // Both templates above are well formed; the plain bar is never used.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Prints one line on standard error.
pub(super) fn report(name: impl Display, way: &str, done: &Transferred) {
    let (size, seconds) = (done.size, done.elapsed.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
    let rate = size as f64 / seconds.max(1e-6) / 1e6;
    eprintln!(
        "{name}: {size} bytes in {seconds:.3} s ({rate:.2} MB/s) {way} {}",
        done.server
    );
}
