//! Many clients on one thread, and their combined results.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tests::host;

use crate::transfer::{Job, State, Transfer};

/// The number of clients, and their schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) job: Job<'a>,
    pub(crate) clients: usize,
    /// The number of clients at a time; the next one starts when one ends.
    pub(crate) concurrent: usize,
    /// The rate at which the first ones start; `None` starts all of them together.
    pub(crate) per_second: Option<u32>,
    /// The address of a single client. Several clients have one each, out of 10.91.0.0/16, and so
    /// 28,000 ports each.
    pub(crate) address: Ipv4Addr,
    /// A client that has not ended within this time has failed.
    pub(crate) limit: Duration,
}

/// The moments of a load at which a caller can measure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    /// The clients have their sockets and have sent nothing.
    Ready,
    /// This many clients have their first block and are silent: all, or those that were served.
    Paused(u64),
    /// The last client has ended.
    Over,
}

/// The results of a load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// The error of the first client that failed.
    pub(crate) first_error: Option<String>,
    /// Bytes of completed files.
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
    /// Sorted.
    pub(crate) first_replies: Vec<Duration>,
    pub(crate) requests_repeated: u64,
    pub(crate) duplicates: u64,
}

impl Tally {
    /// The time within which `percent` of the first replies arrived.
    pub(crate) fn first_reply(&self, percent: usize) -> Option<Duration> {
        let last = self.first_replies.len().checked_sub(1)?;
        self.first_replies.get(last * percent / 100).copied()
    }

    fn add(&mut self, transfer: &Transfer<'_>) {
        self.first_replies.extend(transfer.counts.first_reply);
        self.requests_repeated += transfer.counts.requests_repeated;
        self.duplicates += transfer.counts.duplicates;
    }
}

/// Runs the clients, and returns when all have ended.
pub(crate) fn run(load: Load<'_>, mut watch: impl FnMut(Moment)) -> Tally {
    let mut clients = Clients::new(load);
    watch(Moment::Ready);
    clients.start = host::now();
    let mut paused = load.job.pause;
    while clients.is_busy() {
        clients.turn();
        if paused && (clients.all_paused() || clients.start.elapsed() > LONGEST_PAUSE) {
            paused = false;
            watch(Moment::Paused(clients.paused));
            let now = host::now();
            clients
                .transfers()
                .for_each(|transfer| transfer.resume(now));
        }
    }
    watch(Moment::Over);
    clients.close()
}

struct Clients<'a> {
    load: Load<'a>,
    start: Instant,
    slots: Vec<Option<Client<'a>>>,
    opened: usize,
    /// Clients of the first ones that have sent their request.
    started: usize,
    paused: u64,
    /// One entry for each client: the latest time of its next check.
    timers: BinaryHeap<Reverse<(Instant, usize, usize)>>,
    epoll: Epoll,
    ready: Vec<usize>,
    buffer: Vec<u8>,
    tally: Tally,
}

/// A transfer with its number.
struct Client<'a> {
    number: usize,
    transfer: Transfer<'a>,
}

/// A client that is not served within this time waits for another one to end, not for the kernel.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The longest wait for events, while clients are still to start and afterwards.
const SOON: Duration = Duration::from_millis(1);
const LATER: Duration = Duration::from_millis(20);

impl<'a> Clients<'a> {
    fn new(load: Load<'a>) -> Self {
        let mut clients = Self {
            load,
            start: host::now(),
            slots: Vec::new(),
            opened: 0,
            started: 0,
            paused: 0,
            timers: BinaryHeap::new(),
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("the kernel has epoll"),
            ready: Vec::new(),
            buffer: vec![0; 1 << 16],
            tally: Tally::default(),
        };
        for slot in 0..load.concurrent.min(load.clients) {
            let client = clients.open(slot);
            clients.slots.push(Some(client));
        }
        clients
    }

    fn is_busy(&self) -> bool {
        self.tally.done + self.tally.failed < self.load.clients as u64
            && self.start.elapsed() < self.load.limit
    }

    fn all_paused(&self) -> bool {
        self.paused + self.tally.failed == self.load.clients as u64
    }

    fn transfers(&mut self) -> impl Iterator<Item = &mut Transfer<'a>> {
        let clients = self.slots.iter_mut().flatten();
        clients.map(|client| &mut client.transfer)
    }

    /// Processes due timers and received datagrams.
    fn turn(&mut self) {
        self.start_due(host::now());
        self.wait();
        let now = host::now();
        let mut ready = std::mem::take(&mut self.ready);
        for slot in ready.drain(..) {
            self.readable(slot, now);
        }
        self.ready = ready;
        self.expire(now);
    }

    /// Sends the requests of the first clients that are due.
    fn start_due(&mut self, now: Instant) {
        let due = self.load.per_second.map_or(self.slots.len(), |rate| {
            let due = (now - self.start).as_micros() * u128::from(rate) / 1_000_000;
            usize::try_from(due).unwrap_or(usize::MAX).saturating_add(1)
        });
        while self.started < due.min(self.slots.len()) {
            self.request(self.started, now);
            self.started += 1;
        }
    }

    fn request(&mut self, slot: usize, now: Instant) {
        let Some(client) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let sent = client.transfer.start(now);
        let timer = (client.transfer.deadline(), slot, client.number);
        self.timers.push(Reverse(timer));
        if let Err(error) = sent {
            self.ended(slot, Err(error.to_string()), now);
        }
    }

    /// Waits for events; a single client blocks in its own read, as a simple client does.
    fn wait(&mut self) {
        if self.load.concurrent == 1 {
            self.ready.push(0);
            return;
        }
        let all_started = self.started == self.slots.len();
        let patience = if all_started { LATER } else { SOON };
        let patience = EpollTimeout::try_from(patience).expect("some milliseconds");
        let mut events = [EpollEvent::empty(); 256];
        let count = self.epoll.wait(&mut events, patience).unwrap_or(0);
        let slots = events.iter().take(count).map(EpollEvent::data);
        self.ready
            .extend(slots.filter_map(|slot| usize::try_from(slot).ok()));
    }

    fn readable(&mut self, slot: usize, now: Instant) {
        let Some(client) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let state = loop {
            match client.transfer.receive(&mut self.buffer, now) {
                State::More => {}
                state => break state,
            }
        };
        self.react(slot, state, now);
    }

    fn react(&mut self, slot: usize, state: State, now: Instant) {
        match state {
            State::More | State::Waiting => {}
            State::Paused => self.paused += 1,
            State::Done => self.ended(slot, Ok(()), now),
            State::Failed(why) => self.ended(slot, Err(why), now),
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some(Reverse((at, slot, number))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            let client = self.slots.get_mut(slot).and_then(Option::as_mut);
            let Some(client) = client.filter(|client| client.number == number) else {
                continue;
            };
            let late = client.transfer.deadline() <= now;
            let state = late.then(|| client.transfer.tick(now));
            let next = client.transfer.deadline();
            self.timers.push(Reverse((next, slot, number)));
            self.react(slot, state.unwrap_or(State::Waiting), now);
        }
    }

    /// Counts a client that has ended, and starts the next one.
    fn ended(&mut self, slot: usize, how: Result<(), String>, now: Instant) {
        let Some(client) = self.slots.get_mut(slot).and_then(Option::take) else {
            return;
        };
        self.tally.add(&client.transfer);
        drop(client);
        match how {
            Ok(()) => {
                self.tally.done += 1;
                self.tally.bytes += self.load.job.content.len() as u64;
            }
            Err(why) => {
                self.tally.failed += 1;
                self.tally.first_error.get_or_insert(why);
            }
        }
        if self.opened < self.load.clients {
            let next = self.open(slot);
            if let Some(empty) = self.slots.get_mut(slot) {
                *empty = Some(next);
            }
            self.request(slot, now);
        }
    }

    /// Opens the socket of the next client.
    fn open(&mut self, slot: usize) -> Client<'a> {
        let number = self.opened;
        self.opened += 1;
        let socket = self.socket(number);
        let event = EpollEvent::new(EpollFlags::EPOLLIN, slot as u64);
        self.epoll
            .add(&socket, event)
            .expect("the descriptor is new");
        let transfer = Transfer::new(self.load.job, socket, host::now());
        Client { number, transfer }
    }

    fn socket(&self, number: usize) -> UdpSocket {
        let address = if self.load.clients == 1 {
            self.load.address
        } else {
            let host = u32::try_from(number % 60_000).unwrap_or(0);
            Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 91, 0, 1)) + host)
        };
        let socket = host::udp_socket(IpAddr::V4(address));
        let set = if self.load.concurrent == 1 {
            socket.set_read_timeout(Some(LATER))
        } else {
            socket.set_nonblocking(true)
        };
        set.expect("every socket has both modes");
        socket
    }

    /// Counts the clients that are left as failed.
    fn close(mut self) -> Tally {
        self.tally.elapsed = self.start.elapsed();
        let left: Vec<_> = self.slots.iter().flatten().collect();
        for client in &left {
            self.tally.add(&client.transfer);
        }
        let missing = self.load.clients as u64 - self.tally.done - self.tally.failed;
        if missing > 0 {
            self.tally.failed += missing;
            self.tally
                .first_error
                .get_or_insert_with(|| "time is up".to_owned());
        }
        self.tally.first_replies.sort_unstable();
        self.tally
    }
}
