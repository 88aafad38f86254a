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

/// A client that asks for nothing and does not wait long.
fn plain() -> Client {
    client().options(Options::default())
}

/// A client that asks for blocks of 8 bytes, `windowsize` to a window.
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

/// Gives up after `silence` once blocks have got through.
fn patience(silence: Duration) -> Patience {
    Patience::default().with_silence(silence)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
