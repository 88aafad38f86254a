//! Transfers in virtual time, on channels in memory.

use std::time::Duration;

use super::*;
use crate::engine::{
    admission::{Verdict, limits::Caps},
    record::Ending,
    testing::{self, Options, REQUEST, TestAdmission, arrival, client},
    transfer::channel::memory::MemoryChannel,
};

const WRITE: &[u8] = b"\x00\x02new\x00octet\x00";

/// A table with an admission that fills it.
struct Table {
    inner: TestAdmission,
    transfers: Transfers<MemoryChannel>,
    now: Instant,
}

impl Table {
    fn new() -> Self {
        Self {
            inner: testing::admission(Caps::default(), Options::default()),
            transfers: Transfers::new(),
            now: crate::net::now(),
        }
    }

    fn after(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.transfers.expire(self.now);
    }

    /// Accepts a request without a look at the table.
    fn accept(
        &mut self,
        request: &[u8],
        from: SocketAddr,
    ) -> (Box<Transfer<MemoryChannel>>, TransferPermit) {
        let admission = &mut self.inner.admission;
        let arrival = arrival(request, from);
        let mut other = Transfers::<MemoryChannel>::new();
        match admission.on_datagram(&arrival, 0, &mut other, self.now) {
            Verdict::Start(transfer, permit) => (transfer, permit),
            _ => panic!("not accepted"),
        }
    }

    /// Starts a transfer; returns its identifier and its channel.
    fn start(&mut self, request: &[u8], from: SocketAddr) -> (TransferId, MemoryChannel) {
        let (transfer, permit) = self.accept(request, from);
        let channel = transfer.channel().clone();
        let mut started = None;
        let watch = |_: &MemoryChannel, id| {
            started = Some(id);
            Ok(())
        };
        self.transfers.start(*transfer, permit, watch, self.now);
        (started.expect("its channel is registered"), channel)
    }

    fn receive(&mut self, id: TransferId, channel: &MemoryChannel, datagram: &[u8]) {
        channel.inbox.borrow_mut().push_back(datagram.to_vec());
        self.transfers.on_readable(id, self.now);
    }

    fn endings(&mut self) -> Vec<Ending> {
        let ended = self.transfers.take_ended();
        ended.map(|record| record.ending).collect()
    }
}

/// Opcode and block number of each datagram that was sent since the last call.
fn sent(channel: &MemoryChannel) -> Vec<[u8; 2]> {
    let sent = std::mem::take(&mut *channel.sent.borrow_mut());
    sent.iter().map(|packet| [packet[1], packet[3]]).collect()
}

#[test]
fn a_file_is_sent_block_by_block_and_its_transfer_ends_with_the_last_ack() {
    let mut table = Table::new();
    let (id, channel) = table.start(REQUEST, client(2, 1));
    assert_eq!(sent(&channel), [[3, 1]]);
    table.receive(id, &channel, &[0, 4, 0, 1]);
    assert_eq!(sent(&channel), [[3, 2]]);
    assert!(table.endings().is_empty());
    table.receive(id, &channel, &[0, 4, 0, 2]);
    assert_eq!(table.endings(), [Ending::Sent { confirmed: true }]);
    assert!(table.transfers.is_empty() && table.transfers.find(client(2, 1)).is_none());
}

#[test]
fn the_first_answer_of_the_client_settles_the_permit() {
    let mut table = Table::new();
    let (id, channel) = table.start(REQUEST, client(2, 1));
    let is_half_open = |table: &Table| {
        table
            .transfers
            .get(id)
            .expect("it runs")
            .permit
            .is_half_open()
    };
    table.receive(id, &channel, b"\x00\x09 noise");
    assert!(is_half_open(&table));
    table.receive(id, &channel, &[0, 4, 0, 1]);
    assert!(!is_half_open(&table));
}

#[test]
fn an_identifier_never_means_a_later_transfer_in_the_same_slot() {
    let mut table = Table::new();
    let (old, channel) = table.start(REQUEST, client(2, 1));
    table
        .transfers
        .end(client(2, 1), Cause::Replaced, table.now);
    let (new, _) = table.start(REQUEST, client(2, 2));
    assert_eq!((old.slot(), old == new), (new.slot(), false));
    let before = sent(&channel);
    table.receive(old, &channel, &[0, 4, 0, 1]);
    table.transfers.repeat_first_reply(old, table.now);
    table.transfers.committed(old, Ok(()), table.now);
    assert_eq!((before, sent(&channel)), (vec![[3, 1]], vec![]));
    assert_eq!(table.endings(), [Ending::Failed(Cause::Replaced)]);
}

#[test]
fn a_repeated_request_repeats_the_first_reply_only() {
    let mut table = Table::new();
    let (id, channel) = table.start(REQUEST, client(2, 1));
    table.transfers.repeat_first_reply(id, table.now);
    assert_eq!(sent(&channel), [[3, 1], [3, 1]]);
    table.receive(id, &channel, &[0, 4, 0, 1]);
    table.transfers.repeat_first_reply(id, table.now);
    assert_eq!(sent(&channel), [[3, 2]]);
}

#[test]
fn a_transfer_without_an_answer_is_repeated_twice_and_ends_as_half_open() {
    let mut table = Table::new();
    let (_, channel) = table.start(REQUEST, client(2, 1));
    let mut packets = sent(&channel).len();
    for _ in 0..30 {
        table.after(500);
        packets += sent(&channel).len();
    }
    assert_eq!(packets, 3);
    assert_eq!(table.endings(), [Ending::Failed(Cause::NoAck)]);
    assert_eq!(table.transfers.next_deadline(), None);
}

#[test]
fn deadlines_that_moved_later_are_met_late_and_each_transfer_at_its_own() {
    let mut table = Table::new();
    let (first, one) = table.start(REQUEST, client(2, 1));
    let (_, other) = table.start(REQUEST, client(2, 2));
    let due = table.transfers.next_deadline().expect("two wait");
    table.now += (due - table.now) / 2;
    table.receive(first, &one, &[0, 4, 0, 1]);
    sent(&one);
    sent(&other);
    table.after(1000);
    assert_eq!(sent(&other), [[3, 1]], "it had no answer");
    assert!(
        table
            .transfers
            .next_deadline()
            .is_some_and(|next| next > table.now)
    );
}

#[test]
fn a_datagram_of_the_listening_socket_reaches_its_transfer() {
    let mut table = Table::new();
    let (id, channel) = table.start(REQUEST, client(2, 1));
    sent(&channel);
    let now = table.now;
    table.transfers.on_datagram(id, &[0, 4, 0, 1], now);
    assert_eq!(sent(&channel), [[3, 2]]);
    let known = table.transfers.find(client(2, 1)).expect("it runs");
    assert!(known.id == id && !known.is_half_open && known.progress_at == now);
}

#[test]
fn a_channel_that_cannot_be_registered_ends_its_transfer() {
    let mut table = Table::new();
    let (transfer, permit) = table.accept(REQUEST, client(2, 1));
    let channel = transfer.channel().clone();
    let fail = |_: &MemoryChannel, _| Err(io::ErrorKind::OutOfMemory.into());
    table.transfers.start(*transfer, permit, fail, table.now);
    assert_eq!(sent(&channel), [] as [[u8; 2]; 0]);
    let endings = table.endings();
    assert!(
        matches!(&endings[..], [Ending::Failed(Cause::Io(_))]),
        "{endings:?}"
    );
}

#[test]
fn a_send_that_the_firewall_forbids_ends_the_transfer() {
    let mut table = Table::new();
    let (id, channel) = table.start(REQUEST, client(2, 1));
    channel.is_forbidden.set(true);
    table.receive(id, &channel, &[0, 4, 0, 1]);
    assert_eq!(table.endings(), [Ending::Failed(Cause::LocalFirewall)]);
}

#[test]
fn an_older_transfer_of_a_client_does_not_take_the_newer_one_out_of_the_table() {
    let mut table = Table::new();
    let (old, channel) = table.start(REQUEST, client(2, 1));
    let (new, _) = table.start(b"\x00\x01./x\x00octet\x00", client(2, 1));
    table.receive(old, &channel, b"\x00\x05\x00\x00\x00");
    let known = table.transfers.find(client(2, 1));
    assert_eq!(known.map(|known| known.id), Some(new));
}

#[test]
fn a_stop_sends_an_error_to_each_client() {
    let mut table = Table::new();
    let channels = [1, 2].map(|port| table.start(REQUEST, client(2, port)).1);
    let now = table.now;
    table.transfers.abort_all(ErrorCode::NotDefined, now);
    for channel in &channels {
        assert_eq!(sent(channel), [[3, 1], [5, 0]]);
    }
    let shutdown = Ending::Failed(Cause::Shutdown);
    assert_eq!(table.endings(), [shutdown.clone(), shutdown]);
}

#[test]
fn the_last_ack_of_an_upload_waits_for_its_commit() {
    let mut table = Table::new();
    let (id, channel) = table.start(WRITE, client(2, 1));
    assert_eq!(sent(&channel), [[4, 0]]);
    table.receive(id, &channel, b"\x00\x03\x00\x01hello");
    assert_eq!(sent(&channel), [] as [[u8; 2]; 0]);
    let (of, upload) = table.transfers.take_commits().next().expect("complete");
    assert_eq!(of, id);
    let (result, now) = (upload.commit(), table.now);
    table.transfers.committed(id, result, now);
    assert_eq!(sent(&channel), [[4, 1]]);
    assert_eq!(table.inner.files.read("new"), Some(b"hello".to_vec()));
    table.after(3000);
    let record = table.transfers.take_ended().next().expect("it has ended");
    assert_eq!((record.ending, record.size), (Ending::Received, Some(5)));
    assert_eq!(
        record.elapsed,
        Duration::ZERO,
        "the wait after the commit is left out"
    );
}

#[test]
fn an_upload_that_cannot_be_stored_ends_with_the_code_of_its_error() {
    let mut table = Table::new();
    let (id, channel) = table.start(WRITE, client(2, 1));
    table.receive(id, &channel, b"\x00\x03\x00\x01hello");
    let now = table.now;
    table.transfers.committed(id, Err(StoreError::Exists), now);
    assert_eq!(sent(&channel), [[4, 0], [5, 6]]);
    let endings = table.endings();
    assert!(
        matches!(
            &endings[..],
            [Ending::Failed(Cause::Store {
                code: ErrorCode::FileExists,
                ..
            })]
        ),
        "{endings:?}"
    );
}

#[test]
fn an_upload_above_its_limit_ends_at_the_block_that_exceeds_it() {
    let mut table = Table::new();
    let (id, channel) = table.start(WRITE, client(2, 1));
    for block in [1, 2] {
        let data = [&[0, 3, 0, block][..], &[7; 512]].concat();
        table.receive(id, &channel, &data);
    }
    assert_eq!(sent(&channel), [[4, 0], [4, 1], [5, 3]]);
    let too_large = Cause::TooLarge { limit: 1000 };
    assert_eq!(table.endings(), [Ending::Failed(too_large)]);
}
