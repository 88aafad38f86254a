//! Verdicts on datagrams, without sockets: `Running` is a list of one transfer.

use std::sync::atomic::Ordering;

use super::*;
use crate::{
    engine::{
        record::Ending,
        testing::{self, Options, REQUEST, TestAdmission, arrival, caps, client, nonzero},
        transfer::channel::memory::MemoryChannel,
    },
    proto::Direction,
};

/// At most one running transfer, and those that were ended.
#[derive(Default)]
struct OneRunning {
    running: Option<(SocketAddr, Known)>,
    ended: Vec<(SocketAddr, Cause)>,
}

impl Running for OneRunning {
    fn find(&self, client: SocketAddr) -> Option<Known> {
        let running = self.running.filter(|(of, _)| *of == client);
        running.map(|(_, known)| known)
    }

    fn end(&mut self, client: SocketAddr, cause: Cause, _: Instant) {
        self.ended.push((client, cause));
        self.running.take_if(|(of, _)| *of == client);
    }
}

/// An admission in virtual time.
struct Bench {
    inner: TestAdmission,
    running: OneRunning,
    now: Instant,
}

impl Bench {
    fn new(caps: Caps) -> Self {
        Self::with(caps, Options::default())
    }

    fn with(caps: Caps, options: Options) -> Self {
        Self {
            inner: testing::admission(caps, options),
            running: OneRunning::default(),
            now: net::now(),
        }
    }

    fn after(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn send(&mut self, bytes: &[u8], from: SocketAddr) -> Verdict<MemoryChannel> {
        self.receive(&arrival(bytes, from))
    }

    fn receive(&mut self, arrival: &Arrival<'_>) -> Verdict<MemoryChannel> {
        let admission = &mut self.inner.admission;
        admission.on_datagram(arrival, 3, &mut self.running, self.now)
    }

    fn queued(&mut self) -> Option<Verdict<MemoryChannel>> {
        let admission = &mut self.inner.admission;
        admission.next_queued(&mut self.running, self.now)
    }

    fn ready(&mut self) -> Option<Verdict<MemoryChannel>> {
        let admission = &mut self.inner.admission;
        admission.next_ready(&mut self.running, self.now)
    }

    /// Starts a transfer and lists it as running.
    fn start(&mut self, from: SocketAddr, is_half_open: bool) -> TransferPermit {
        let (transfer, permit) = started(self.send(REQUEST, from));
        let known = Known {
            id: TransferId::new(5, 9),
            digest: transfer.about().digest,
            is_half_open,
            progress_at: self.now,
            is_shared: self.inner.ports.is_shared,
        };
        self.running.running = Some((from, known));
        permit
    }
}

#[track_caller]
fn started(verdict: Verdict<MemoryChannel>) -> (Box<Transfer<MemoryChannel>>, TransferPermit) {
    match verdict {
        Verdict::Start(transfer, permit) => (transfer, permit),
        other => panic!("{} instead of a start", name(&other)),
    }
}

/// The code, the text and the reason in the record of a rejection.
#[track_caller]
fn rejection(verdict: Verdict<MemoryChannel>) -> (Option<u16>, Option<String>, Option<Ending>) {
    match verdict {
        Verdict::Reject(reject) => (
            reject.code.map(ErrorCode::to_wire),
            reject
                .text
                .map(|text| String::from_utf8_lossy(&text).into_owned()),
            reject.record.map(|record| record.ending),
        ),
        other => panic!("{} instead of a rejection", name(&other)),
    }
}

fn name(verdict: &Verdict<MemoryChannel>) -> &'static str {
    match verdict {
        Verdict::Ignore => "ignore",
        Verdict::Deliver(_) => "deliver",
        Verdict::Repeat(_) => "repeat",
        Verdict::Start(..) => "start",
        Verdict::Wait => "wait",
        Verdict::Reject(_) => "reject",
    }
}

fn request(file: &str) -> Vec<u8> {
    format!("\0\x01{file}\0octet\0").into_bytes()
}

#[test]
fn a_request_starts_a_transfer_from_the_address_asked_and_a_port_of_its_own() {
    let mut bench = Bench::new(Caps::default());
    let (transfer, permit) = started(bench.send(REQUEST, client(2, 2071)));
    let about = transfer.about();
    assert_eq!((about.client, &*about.path), (client(2, 2071), &b"x"[..]));
    assert_eq!(about.local, "10.0.0.1:1000".parse().expect("an address"));
    assert_eq!((about.file.as_deref(), about.started), (None, bench.now));
    assert!(permit.is_half_open() && transfer.is_half_open());
}

#[test]
fn a_rewritten_name_is_recorded_with_the_file() {
    let mut bench = Bench::new(Caps::default());
    let (transfer, _) = started(bench.send(&request("alias"), client(2, 1)));
    let about = transfer.about();
    assert_eq!(
        (&*about.path, about.file.as_deref()),
        (&b"alias"[..], Some(&b"x"[..]))
    );
}

#[test]
fn each_rejection_has_its_code_and_its_reason() {
    for (file, code, reason) in [
        ("missing", Some(1), Rejection::NotFound),
        ("secret", Some(2), Rejection::Permission),
        ("denied", Some(2), Rejection::DeniedByRule),
        ("sub/", Some(1), Rejection::BadName),
    ] {
        let mut bench = Bench::new(Caps::default());
        let (sent, _, ending) = rejection(bench.send(&request(file), client(2, 1)));
        assert_eq!(
            (sent, ending),
            (code, Some(Ending::Rejected(reason))),
            "{file}"
        );
    }
    let mut bench = Bench::new(Caps::default());
    let mail = rejection(bench.send(b"\x00\x01x\x00mail\x00", client(2, 1)));
    assert_eq!(
        mail,
        (Some(4), None, Some(Ending::Rejected(Rejection::Mode)))
    );
}

#[test]
fn a_rejection_is_answered_on_the_path_of_the_request_and_recorded_with_its_name() {
    let mut bench = Bench::new(Caps::default());
    let Verdict::Reject(reject) = bench.send(b"\x00\x02/secret\x00mail\x00", client(2, 9)) else {
        panic!("mail is served");
    };
    let path = ReplyPath {
        listener: 3,
        local: "10.0.0.1:69".parse().expect("an address"),
        client: client(2, 9),
    };
    let record = reject.record.expect("a valid request");
    assert_eq!((reject.path, &*record.path), (path, &b"/secret"[..]));
    assert_eq!((record.client, record.local), (path.client, path.local));
    assert_eq!(record.direction, Direction::Write);
}

#[test]
fn a_malformed_request_is_answered_with_error_4_and_not_recorded() {
    let mut bench = Bench::new(caps(1));
    for _ in 0..2 {
        let malformed = rejection(bench.send(b"\x00\x01no mode\x00", client(2, 1)));
        assert_eq!(malformed, (Some(4), None, None));
    }
    let _held = bench.start(client(3, 1), false);
    let silent = bench.send(b"\x00\x02", client(2, 1));
    assert_eq!(name(&silent), "ignore", "all transfers are taken");
}

#[test]
fn a_repeated_request_repeats_the_first_reply_while_it_is_unanswered() {
    let mut bench = Bench::new(Caps::default());
    let _permit = bench.start(client(2, 1), true);
    let verdict = bench.send(REQUEST, client(2, 1));
    assert!(matches!(verdict, Verdict::Repeat(id) if id == TransferId::new(5, 9)));
    let other_port = bench.send(REQUEST, client(2, 2));
    assert_eq!(name(&other_port), "start", "another client");
    assert!(bench.running.ended.is_empty());
}

#[test]
fn a_late_duplicate_is_ignored_and_a_client_that_starts_over_replaces_its_transfer() {
    let mut bench = Bench::new(Caps::default());
    let _permit = bench.start(client(2, 1), false);
    bench.after(999);
    assert_eq!(name(&bench.send(REQUEST, client(2, 1))), "ignore");
    assert!(bench.running.ended.is_empty());
    bench.after(1);
    assert_eq!(name(&bench.send(REQUEST, client(2, 1))), "start");
    assert_eq!(bench.running.ended, [(client(2, 1), Cause::Replaced)]);
}

#[test]
fn another_request_replaces_a_transfer_even_if_it_is_rejected() {
    let mut bench = Bench::new(Caps::default());
    let _permit = bench.start(client(2, 1), true);
    let verdict = bench.send(&request("missing"), client(2, 1));
    assert_eq!(name(&verdict), "reject");
    assert_eq!(bench.running.ended, [(client(2, 1), Cause::Replaced)]);
}

#[test]
fn a_malformed_request_leaves_the_running_transfer_of_its_port_alone() {
    let mut bench = Bench::new(Caps::default());
    let _permit = bench.start(client(2, 1), true);
    let verdict = bench.send(b"\x00\x01no mode\x00", client(2, 1));
    assert_eq!(name(&verdict), "reject");
    assert_eq!(bench.running.ended, []);
}

#[test]
fn datagrams_that_no_client_sends_are_ignored() {
    for (from, expected) in [
        ("192.0.2.7:2071", "start"),
        ("192.0.2.7:0", "ignore"),
        ("192.0.2.7:69", "start"),
        ("192.0.2.7:6969", "start"),
        ("192.0.2.1:6969", "ignore"),
        ("[2001:db8::7]:0", "ignore"),
    ] {
        let mut bench = Bench::new(Caps::default());
        let from: SocketAddr = from.parse().expect("an address");
        let ip = if from.is_ipv4() {
            "192.0.2.1"
        } else {
            "2001:db8::1"
        };
        let arrival = Arrival {
            local: SocketAddr::new(ip.parse().expect("an address"), 6969),
            ..arrival(REQUEST, from)
        };
        assert_eq!(name(&bench.receive(&arrival)), expected, "{from}");
        let unknown = Arrival {
            bytes: b"\x00\x09x",
            ..arrival
        };
        let is_a_server = [0, 69, 6969].contains(&from.port());
        let expected = if is_a_server { "ignore" } else { "reject" };
        assert_eq!(name(&bench.receive(&unknown)), expected, "{from}");
    }
}

#[test]
fn broadcasts_are_served_if_enabled_and_multicasts_never() {
    for broadcast in [false, true] {
        let options = Options {
            broadcast,
            ..Options::default()
        };
        let mut bench = Bench::with(Caps::default(), options);
        let to_all = Arrival {
            unicast: false,
            ..arrival(REQUEST, client(2, 1))
        };
        let expected = if broadcast { "start" } else { "ignore" };
        assert_eq!(name(&bench.receive(&to_all)), expected);
        let to_group = Arrival {
            local: "[ff02::1]:69".parse().expect("an address"),
            unicast: false,
            ..arrival(REQUEST, "[2001:db8::7]:2071".parse().expect("an address"))
        };
        assert_eq!(name(&bench.receive(&to_group)), "ignore");
    }
}

#[test]
fn an_unknown_opcode_is_answered_at_a_limited_rate_and_an_error_never() {
    let mut bench = Bench::new(Caps::default());
    let answer = rejection(bench.send(b"\x00\x09x", client(2, 1)));
    assert_eq!(answer, (Some(4), None, None));
    let flood = (0..100).filter(|_| name(&bench.send(b"\x00\x09x", client(2, 2))) == "reject");
    assert_eq!(flood.count(), 19, "20 in a burst");
    assert_eq!(name(&bench.send(b"\x00\x09x", client(3, 1))), "reject");
    for packet in [
        &b"\x00\x05\x00\x00\x00"[..],
        b"\x00\x04\x00\x01",
        b"\x00",
        b"",
    ] {
        assert_eq!(name(&bench.send(packet, client(4, 1))), "ignore");
    }
}

#[test]
fn with_a_single_port_packets_are_delivered_to_their_transfer() {
    let options = Options {
        single_port: true,
        ..Options::default()
    };
    let mut bench = Bench::with(Caps::default(), options);
    let _permit = bench.start(client(2, 1), false);
    for packet in [
        &b"\x00\x04\x00\x01"[..],
        b"\x00\x05\x00\x00\x00",
        b"\x00\x09",
    ] {
        let verdict = bench.send(packet, client(2, 1));
        assert!(matches!(verdict, Verdict::Deliver(id) if id == TransferId::new(5, 9)));
    }
    let unknown = rejection(bench.send(b"\x00\x04\x00\x01", client(2, 2)));
    assert_eq!(unknown, (Some(5), None, None));
    assert_eq!(
        name(&bench.send(b"\x00\x05\x00\x00\x00", client(2, 2))),
        "ignore"
    );
}

#[test]
fn requests_wait_for_a_transfer_to_end_in_the_order_of_their_arrival() {
    let mut bench = Bench::new(caps(1));
    let permit = bench.start(client(2, 1), false);
    for port in [11, 12] {
        assert_eq!(name(&bench.send(REQUEST, client(2, port))), "wait");
    }
    assert!(bench.queued().is_none());
    drop(permit);
    assert!(bench.queued().is_none(), "too early for a retry");
    bench.inner.admission.on_transfer_end();
    let (first, permit) = started(bench.queued().expect("a transfer has ended"));
    assert_eq!(first.about().client.port(), 11);
    assert!(bench.queued().is_none());
    drop(permit);
    bench.after(50);
    let (second, _) = started(bench.queued().expect("a retry is due"));
    assert_eq!(second.about().client.port(), 12);
}

#[test]
fn a_request_that_has_waited_too_long_is_recorded() {
    let mut bench = Bench::new(caps(1));
    let _permit = bench.start(client(2, 1), false);
    assert_eq!(name(&bench.send(&request("alias"), client(2, 2))), "wait");
    bench.after(1999);
    let now = bench.now;
    assert!(bench.inner.admission.next_expired(now).is_none());
    bench.after(1);
    let due = bench.inner.admission.next_deadline();
    assert!(due.is_some_and(|due| due <= bench.now));
    let record = bench.inner.admission.next_expired(bench.now);
    let record = record.expect("it has waited for 2 s");
    assert_eq!(record.ending, Ending::Rejected(Rejection::Overload));
    assert_eq!((&*record.path, record.client.port()), (&b"alias"[..], 2));
}

#[test]
fn without_a_queue_a_request_is_recorded_and_not_answered() {
    let mut bench = Bench::new(caps(1).with_waiting(0));
    let _permit = bench.start(client(2, 1), false);
    let overload = Ending::Rejected(Rejection::Overload);
    let verdict = rejection(bench.send(REQUEST, client(2, 2)));
    assert_eq!(verdict, (None, None, Some(overload)));
}

#[test]
fn a_client_above_its_limit_gets_no_answer_and_does_not_wait() {
    let mut bench = Bench::new(Caps::default().with_per_client(nonzero(1)));
    let _permit = bench.start(client(2, 1), false);
    let verdict = rejection(bench.send(REQUEST, client(2, 2)));
    let too_many = Ending::Rejected(Rejection::TooMany);
    assert_eq!(verdict, (None, None, Some(too_many)));
    assert_eq!(name(&bench.send(REQUEST, client(3, 2))), "start");
}

#[test]
fn the_oldest_half_open_transfer_is_evicted_at_the_limit() {
    let mut half_open = Caps::default().half_open;
    half_open.total = nonzero(2);
    let mut bench = Bench::new(Caps::default().with_half_open(half_open));
    let _first = bench.start(client(2, 1), true);
    let _second = bench.start(client(3, 1), true);
    assert!(bench.running.ended.is_empty());
    let _third = bench.start(client(4, 1), true);
    assert_eq!(bench.running.ended, [(client(2, 1), Cause::Evicted)]);
}

#[test]
fn a_half_open_transfer_expires() {
    let mut bench = Bench::new(Caps::default());
    let _permit = bench.start(client(2, 1), true);
    let mut settled = bench.start(client(3, 1), true);
    settled.settle();
    bench.after(8000);
    let Bench {
        inner,
        running,
        now,
    } = &mut bench;
    inner.admission.expire_half_open(running, *now);
    assert_eq!(running.ended, [(client(2, 1), Cause::NoAck)]);
}

#[test]
fn a_request_without_a_port_waits_and_gives_its_permit_back() {
    let mut bench = Bench::new(caps(2));
    bench.inner.ports.left.set(0);
    assert_eq!(name(&bench.send(REQUEST, client(2, 1))), "wait");
    assert_eq!(name(&bench.send(&request("busy"), client(2, 2))), "wait");
    bench.inner.ports.left.set(9);
    let _held = [1, 2].map(|port| started(bench.send(REQUEST, client(3, port))));
    bench.after(2000);
    let record = bench.inner.admission.next_expired(bench.now).expect("due");
    assert_eq!(record.ending, Ending::Rejected(Rejection::NoPort));
    let record = bench.inner.admission.next_expired(bench.now).expect("due");
    assert_eq!(record.ending, Ending::Rejected(Rejection::Busy));
}

#[test]
fn a_rejected_request_gives_its_permit_back() {
    let mut bench = Bench::new(caps(1));
    for _ in 0..3 {
        assert_eq!(
            name(&bench.send(&request("missing"), client(2, 1))),
            "reject"
        );
    }
    assert_eq!(name(&bench.send(REQUEST, client(2, 1))), "start");
}

#[test]
fn pending_content_is_made_once_and_starts_the_transfer_when_it_is_ready() {
    let mut bench = Bench::new(Caps::default());
    assert_eq!(name(&bench.send(&request("slow"), client(2, 1))), "wait");
    assert_eq!(name(&bench.send(&request("slow"), client(2, 1))), "ignore");
    assert!(bench.ready().is_none());
    let sender = bench.inner.backend.senders.lock().expect("sound").remove(0);
    sender.send(Ok(Content::from("made")));
    assert_eq!(bench.inner.woken.load(Ordering::Relaxed), 1);
    let (transfer, _) = started(bench.ready().expect("content is ready"));
    assert_eq!(&*transfer.about().path, b"slow");
    assert_eq!(bench.inner.backend.opened.load(Ordering::Relaxed), 1);
    assert!(bench.ready().is_none());
}

#[test]
fn pending_content_that_fails_is_rejected_or_waits() {
    let mut bench = Bench::new(Caps::default());
    for (port, error) in [(1, Some(OpenError::NotFound)), (2, None)] {
        let verdict = bench.send(&request("slow"), client(2, port));
        assert_eq!(name(&verdict), "wait");
        let sender = bench.inner.backend.senders.lock().expect("sound").remove(0);
        match error {
            Some(error) => sender.send(Err(error)),
            None => drop(sender),
        }
    }
    let not_found = Ending::Rejected(Rejection::NotFound);
    let verdict = rejection(bench.ready().expect("the first has failed"));
    assert_eq!(verdict, (Some(1), None, Some(not_found)));
    let verdict = bench.ready().expect("the second has failed");
    assert_eq!(name(&verdict), "wait", "a dropped sender is temporary");
}

#[test]
fn another_request_of_the_client_replaces_the_one_that_is_pending() {
    let mut bench = Bench::new(Caps::default());
    assert_eq!(name(&bench.send(&request("slow"), client(2, 1))), "wait");
    assert_eq!(name(&bench.send(&request("./slow"), client(2, 1))), "wait");
    let senders = std::mem::take(&mut *bench.inner.backend.senders.lock().expect("sound"));
    assert_eq!(senders.len(), 2);
    for sender in senders {
        sender.send(Ok(Content::from("made")));
    }
    let (transfer, _) = started(bench.ready().expect("content is ready"));
    assert_eq!(&*transfer.about().path, b"./slow");
    assert!(bench.ready().is_none(), "the first request was replaced");
}

#[test]
fn a_closed_admission_starts_nothing_and_drops_what_waits() {
    let mut bench = Bench::new(caps(1));
    assert_eq!(name(&bench.send(&request("slow"), client(2, 1))), "wait");
    let permit = bench.start(client(2, 2), false);
    assert_eq!(name(&bench.send(REQUEST, client(2, 3))), "wait");
    bench.inner.admission.close();
    drop(permit);
    bench.inner.admission.on_transfer_end();
    let sender = bench.inner.backend.senders.lock().expect("sound").remove(0);
    sender.send(Ok(Content::from("made")));
    assert!(bench.queued().is_none() && bench.ready().is_none());
    assert_eq!(name(&bench.send(REQUEST, client(3, 1))), "ignore");
    assert_eq!(name(&bench.send(b"\x00\x01", client(3, 1))), "ignore");
    assert_eq!(bench.inner.admission.next_deadline(), None);
}
