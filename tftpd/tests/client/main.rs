//! The client against servers that play a script, over real sockets.

mod diagnosis;
mod interplay;
mod reading;
mod script;
mod streams;
mod writing;

use std::time::Duration;

use eport_core::Allocator;
use tftpd::{
    Client,
    proto::{Blksize, Options, Patience, Windowsize},
};

/// Returns a client without options and with short time-outs.
fn plain() -> Client {
    client().options(Options::default())
}

/// Returns a client that asks for blocks of 8 bytes, `windowsize` in a window.
fn windowed(windowsize: u16) -> Client {
    client().options(
        Options::default()
            .with_blksize(Blksize::new(8))
            .with_windowsize(Windowsize::new(windowsize)),
    )
}

fn client() -> Client {
    Client::with_allocator(allocator()).answer_within(Duration::from_secs(5))
}

fn allocator() -> Allocator {
    Allocator::builder().build().expect("ports")
}

/// Returns limits that end a transfer after `silence` without progress.
fn patience(silence: Duration) -> Patience {
    Patience::default().with_silence(silence)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
