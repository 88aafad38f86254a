//! Many clients on one thread, and what they have seen when all are done.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tests::host;

use crate::transfer::{Ask, State, Transfer};

/// How many clients there are, and how they come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) ask: Ask<'a>,
    pub(crate) clients: usize,
    /// How many are served at a time; each that ends makes room for the next.
    pub(crate) at_once: usize,
    /// How many of the first ones come in a second; all together if nothing is said.
    pub(crate) per_second: Option<u32>,
    /// The address of a client that is alone. Others have one each, out of 10.91.0.0/16, and so
    /// 28,000 ports each.
    pub(crate) address: Ipv4Addr,
    /// Who has not ended by then has failed.
    pub(crate) limit: Duration,
}

/// When somebody who watches a load may want to measure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    /// The clients have their sockets and have said nothing.
    Ready,
    /// So many have their first block and keep silent: all of them, or those that came to it.
    Paused(u64),
    /// The last one is done.
    Over,
}

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// What the first client to fail has to say.
    pub(crate) complaint: Option<String>,
    /// Bytes of the files of those that are done.
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
    /// Sorted.
    pub(crate) first_replies: Vec<Duration>,
    pub(crate) asked_again: u64,
    pub(crate) duplicates: u64,
}

impl Tally {
    /// The time within which so many of a hundred first replies came.
    pub(crate) fn first_reply(&self, percent: usize) -> Option<Duration> {
        let last = self.first_replies.len().checked_sub(1)?;
        self.first_replies.get(last * percent / 100).copied()
    }

    fn add(&mut self, transfer: &Transfer<'_>) {
        self.first_replies.extend(transfer.counts.first_reply);
        self.asked_again += transfer.counts.asked_again;
        self.duplicates += transfer.counts.duplicates;
    }
}

/// Lets the clients come, and returns when all have ended.
pub(crate) fn run(load: Load<'_>, mut watch: impl FnMut(Moment)) -> Tally {
    let mut crowd = Crowd::new(load);
    watch(Moment::Ready);
    crowd.start = host::now();
    let mut paused = load.ask.pause;
    while crowd.is_busy() {
        crowd.turn();
        if paused && (crowd.all_paused() || crowd.start.elapsed() > LONGEST_PAUSE) {
            paused = false;
            watch(Moment::Paused(crowd.paused));
            let now = host::now();
            crowd.transfers().for_each(|transfer| transfer.go_on(now));
        }
    }
    watch(Moment::Over);
    crowd.close()
}

struct Crowd<'a> {
    load: Load<'a>,
    start: Instant,
    slots: Vec<Option<Client<'a>>>,
    opened: usize,
    /// How many of the first ones have asked.
    asked: usize,
    paused: u64,
    /// One entry for each client: when to look at it at the latest.
    timers: BinaryHeap<Reverse<(Instant, usize, usize)>>,
    epoll: Epoll,
    ready: Vec<usize>,
    buffer: Vec<u8>,
    tally: Tally,
}

/// A transfer, and the how-manieth it is.
struct Client<'a> {
    number: usize,
    transfer: Transfer<'a>,
}

/// Whoever is not served by then waits for somebody to end, not for the kernel or the queue.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long a turn lasts if nothing happens, while clients are still to come and afterwards.
const SOON: Duration = Duration::from_millis(1);
const LATER: Duration = Duration::from_millis(20);

impl<'a> Crowd<'a> {
    fn new(load: Load<'a>) -> Self {
        let mut crowd = Self {
            load,
            start: host::now(),
            slots: Vec::new(),
            opened: 0,
            asked: 0,
            paused: 0,
            timers: BinaryHeap::new(),
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("the kernel has epoll"),
            ready: Vec::new(),
            buffer: vec![0; 1 << 16],
            tally: Tally::default(),
        };
        for slot in 0..load.at_once.min(load.clients) {
            let client = crowd.open(slot);
            crowd.slots.push(Some(client));
        }
        crowd
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

    /// What is due and what has come.
    fn turn(&mut self) {
        self.let_in(host::now());
        self.wait();
        let now = host::now();
        let mut ready = std::mem::take(&mut self.ready);
        for slot in ready.drain(..) {
            self.readable(slot, now);
        }
        self.ready = ready;
        self.expire(now);
    }

    /// Lets those of the first clients ask whose time has come.
    fn let_in(&mut self, now: Instant) {
        let due = self.load.per_second.map_or(self.slots.len(), |rate| {
            let due = (now - self.start).as_micros() * u128::from(rate) / 1_000_000;
            usize::try_from(due).unwrap_or(usize::MAX).saturating_add(1)
        });
        while self.asked < due.min(self.slots.len()) {
            self.ask(self.asked, now);
            self.asked += 1;
        }
    }

    fn ask(&mut self, slot: usize, now: Instant) {
        let Some(client) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let asked = client.transfer.ask(now);
        let timer = (client.transfer.deadline(), slot, client.number);
        self.timers.push(Reverse(timer));
        if let Err(error) = asked {
            self.ended(slot, Err(error.to_string()), now);
        }
    }

    /// Whoever is alone waits in its own read, as a simple client does.
    fn wait(&mut self) {
        if self.load.at_once == 1 {
            self.ready.push(0);
            return;
        }
        let all_asked = self.asked == self.slots.len();
        let patience = if all_asked { LATER } else { SOON };
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

    /// Counts a client that has ended, and lets the next one in.
    fn ended(&mut self, slot: usize, how: Result<(), String>, now: Instant) {
        let Some(client) = self.slots.get_mut(slot).and_then(Option::take) else {
            return;
        };
        self.tally.add(&client.transfer);
        drop(client);
        match how {
            Ok(()) => {
                self.tally.done += 1;
                self.tally.bytes += self.load.ask.content.len() as u64;
            }
            Err(why) => {
                self.tally.failed += 1;
                self.tally.complaint.get_or_insert(why);
            }
        }
        if self.opened < self.load.clients {
            let next = self.open(slot);
            if let Some(place) = self.slots.get_mut(slot) {
                *place = Some(next);
            }
            self.ask(slot, now);
        }
    }

    /// A client with a socket.
    fn open(&mut self, slot: usize) -> Client<'a> {
        let number = self.opened;
        self.opened += 1;
        let socket = self.socket(number);
        let event = EpollEvent::new(EpollFlags::EPOLLIN, slot as u64);
        self.epoll
            .add(&socket, event)
            .expect("the descriptor is new");
        let transfer = Transfer::new(self.load.ask, socket, host::now());
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
        let set = if self.load.at_once == 1 {
            socket.set_read_timeout(Some(LATER))
        } else {
            socket.set_nonblocking(true)
        };
        set.expect("every socket can wait or not");
        socket
    }

    /// Whoever is left has failed.
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
                .complaint
                .get_or_insert_with(|| "time is up".to_owned());
        }
        self.tally.first_replies.sort_unstable();
        self.tally
    }
}
