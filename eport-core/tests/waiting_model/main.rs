//! All interleavings of threads that take, wait, cancel and give back.
//!
//! The wait queue is compiled here a second time, with the lock of a model checker in place of the
//! standard one. loom then runs each test for all orders in which the threads can take the lock, up
//! to a number of preemptions, and reports a lost wake-up as a deadlock.
#![cfg(feature = "net")]
#![expect(
    dead_code,
    reason = "the module is the crate's, and the models need only a part of it"
)]

#[path = "../../src/lease/wait_queue.rs"]
mod wait_queue;

/// The lock of the queue.
mod sync {
    pub(crate) use loom::sync::Mutex;
    use loom::sync::MutexGuard;

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().expect("no panic under the lock")
    }
}

use std::task::{Poll, Waker};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use wait_queue::{Position, Resource, WaitQueue};

/// Numbers, of which each request gets one.
struct Shelf {
    numbers: Vec<u16>,
    given_back: usize,
}

impl Resource for Shelf {
    type Request = ();
    type Item = u16;
    type Error = ();
    type Now = u32;

    fn take(&mut self, (): &(), _: u32) -> Result<u16, ()> {
        self.numbers.pop().ok_or(())
    }

    fn is_temporary((): &()) -> bool {
        true
    }

    fn implies_none_for((): &(), (): &()) -> bool {
        true
    }
}

/// A queue, and the number of threads that hold an item of it.
struct Shop {
    queue: WaitQueue<Shelf>,
    held: AtomicUsize,
    stock: usize,
}

impl Shop {
    fn new(stock: u16) -> Arc<Self> {
        let shelf = Shelf {
            numbers: (1..=stock).collect(),
            given_back: 0,
        };
        Arc::new(Self {
            queue: WaitQueue::new(shelf),
            held: AtomicUsize::new(0),
            stock: stock.into(),
        })
    }

    /// Waits for a number as a request does that blocks its thread.
    fn take(&self) -> u16 {
        if let Ok(number) = self.queue.after_waiters(0, |shelf| shelf.take(&(), 0)) {
            return self.taken(number);
        }
        let back = Position::Back { most: 8 };
        let id = self.queue.join((), 1, back, 0).expect("room in the queue");
        let waker = unpark_this_thread();
        loop {
            if let Poll::Ready(served) = self.queue.poll(&id, &waker) {
                return self.taken(served.expect("numbers are never refused"));
            }
            thread::park();
        }
    }

    /// Joins the queue if there is nothing, and leaves it immediately: a request that is cancelled.
    fn give_up(&self) {
        let taken = self.queue.after_waiters(0, |shelf| shelf.take(&(), 0)).ok();
        let number = taken.or_else(|| {
            let back = Position::Back { most: 8 };
            let id = self.queue.join((), 1, back, 0).expect("room in the queue");
            self.queue.leave(&id)
        });
        if let Some(number) = number {
            self.taken(number);
            self.give_back(number);
        }
    }

    fn taken(&self, number: u16) -> u16 {
        let others = self.held.fetch_add(1, Ordering::SeqCst);
        assert!(others < self.stock, "more are held than exist");
        number
    }

    /// Gives a number back: it is no longer held before another thread can take it.
    fn give_back(&self, number: u16) {
        self.held.fetch_sub(1, Ordering::SeqCst);
        self.queue.give_back(0, |shelf| {
            assert!(!shelf.numbers.contains(&number), "given back twice");
            shelf.numbers.push(number);
            shelf.given_back += 1;
        });
    }

    /// Asserts that nothing is lost or held, and that the queue is empty.
    fn assert_even(&self, given_back: usize) {
        assert_eq!(self.queue.waiting(), 0);
        self.queue.with(|shelf| {
            assert_eq!(shelf.numbers.len(), self.stock);
            assert_eq!(shelf.given_back, given_back);
        });
    }
}

fn unpark_this_thread() -> Waker {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    Waker::from(std::sync::Arc::new(Unpark(thread::current())))
}

/// Runs all orders with up to three preemptions, enough to find such mistakes.
fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

#[test]
fn two_waiters_for_one_number_both_get_it() {
    model(|| {
        let shop = Shop::new(1);
        let number = shop.take();
        let threads = [(); 2].map(|()| {
            let shop = Arc::clone(&shop);
            thread::spawn(move || {
                let number = shop.take();
                shop.give_back(number);
            })
        });
        shop.give_back(number);
        for thread in threads {
            thread.join().expect("no panic");
        }
        shop.assert_even(3);
    });
}

#[test]
fn a_cancelled_request_leaves_its_item_to_the_next() {
    model(|| {
        let shop = Shop::new(1);
        let number = shop.take();
        let patient = thread::spawn({
            let shop = Arc::clone(&shop);
            move || {
                let number = shop.take();
                shop.give_back(number);
            }
        });
        let impatient = thread::spawn({
            let shop = Arc::clone(&shop);
            move || shop.give_up()
        });
        shop.give_back(number);
        patient.join().expect("no panic");
        impatient.join().expect("no panic");
        shop.queue
            .with(|shelf| assert_eq!(shelf.numbers.len(), shop.stock));
        assert_eq!(shop.queue.waiting(), 0);
    });
}

#[test]
fn the_first_waiter_is_served_first() {
    model(|| {
        let shop = Shop::new(1);
        let number = shop.take();
        let back = Position::Back { most: 2 };
        let first = shop.queue.join((), 1, back, 0).expect("room");
        let second = shop.queue.join((), 1, back, 0).expect("room");
        assert!(
            shop.queue.join((), 1, back, 0).is_none(),
            "the queue is full"
        );
        let giver = thread::spawn({
            let shop = Arc::clone(&shop);
            move || shop.give_back(number)
        });
        // A new request at the same time does not change that the number goes to the front.
        let late = shop.queue.after_waiters(0, |shelf| shelf.take(&(), 0));
        assert!(late.is_err(), "a new request has overtaken the queue");
        giver.join().expect("no panic");
        let noop = Waker::noop();
        assert!(shop.queue.poll(&second, noop).is_pending());
        let Poll::Ready(Ok(number)) = shop.queue.poll(&first, noop) else {
            panic!("the first has been served");
        };
        shop.queue.give_back(0, |shelf| shelf.numbers.push(number));
        assert!(shop.queue.poll(&second, noop).is_ready());
    });
}
