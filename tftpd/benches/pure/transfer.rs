//! The two state machines, each through a whole transfer of 1 MiB; the figures are per block.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use tftpd::proto::{
    Ack, Blksize, Data, Input, Opening, Receiver, ReceiverConfig, ReceiverOutput, Rollover, Sender,
    SenderConfig, SenderOutput, Terms, Windowsize,
};

const SIZE: u64 = 1 << 20;
const BLKSIZE: u16 = 1468;
const ROUND_TRIP: Duration = Duration::from_micros(100);

pub(crate) fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transfer of 1 MiB");
    let blocks = SIZE / u64::from(BLKSIZE) + 1;
    group.throughput(Throughput::Elements(blocks));
    let file = datagrams();
    let start = crate::beginning();
    for window in [1, 16] {
        let terms = Terms::default()
            .with_blksize(Blksize::new(BLKSIZE).expect("a good size"))
            .with_windowsize(Windowsize::new(window).expect("not empty"));
        group.bench_function(format!("sender, window {window}"), |bencher| {
            bencher.iter(|| assert_eq!(send(terms, start), blocks));
        });
        group.bench_function(format!("receiver, window {window}"), |bencher| {
            bencher.iter(|| assert_eq!(receive(terms, &file, start), SIZE));
        });
    }
    group.finish();
}

/// Sends a file of which every window is acknowledged a round trip later. Returns the blocks sent.
fn send(terms: Terms, start: Instant) -> u64 {
    let config = SenderConfig::new(SIZE).with_terms(terms);
    let mut now = start;
    let mut sender = Sender::new(config, None, now);
    let mut ack = Vec::with_capacity(4);
    let mut blocks = 0;
    loop {
        match sender.poll() {
            SenderOutput::Blocks { first, count } => {
                blocks += u64::from(count);
                let block = Rollover::Zero.to_wire(first + u64::from(count) - 1);
                ack.clear();
                Ack { block }.encode(&mut ack);
            }
            SenderOutput::Wait(_) => {
                now += ROUND_TRIP;
                sender.handle(Input::Datagram(&ack), now);
            }
            _ => return blocks,
        }
    }
}

/// Receives a file of which every window arrives a round trip after the ACK of the one before.
/// Returns the bytes stored.
fn receive(terms: Terms, file: &[Vec<u8>], start: Instant) -> u64 {
    let config = ReceiverConfig::default().with_terms(terms);
    let mut now = start;
    let mut receiver = Receiver::new(config, Opening::Ack, now);
    let mut arriving = file.iter();
    loop {
        match receiver.poll() {
            ReceiverOutput::Wait(_) => {
                let Some(datagram) = arriving.next() else {
                    return receiver.received();
                };
                receiver.handle(Input::Datagram(datagram), now);
            }
            ReceiverOutput::Ack(_) => now += ROUND_TRIP,
            ReceiverOutput::Commit => receiver.committed(now),
            _ => return receiver.received(),
        }
    }
}

/// Returns the file as DATA packets.
fn datagrams() -> Vec<Vec<u8>> {
    let file = vec![7; usize::try_from(SIZE).expect("a small file")];
    let blocks = file.chunks(BLKSIZE.into()).zip(1..);
    blocks
        .map(|(payload, block)| {
            let mut datagram = Vec::new();
            Data { block, payload }.encode(&mut datagram);
            datagram
        })
        .collect()
}
