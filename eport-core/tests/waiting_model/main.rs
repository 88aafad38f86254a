//! Every interleaving of threads that take, wait, give up and give back.
//!
//! The desk is compiled here once more, with the lock of a model checker in place of the standard
//! one. loom then runs each test for all orders in which the threads can meet at the lock, up to a
//! number of preemptions, and reports a wake-up that is lost as a deadlock.
#![cfg(feature = "net")]
#![expect(
    dead_code,
    reason = "the module is the crate's, and the models need only a part of it"
)]

#[path = "../../src/lease/desk.rs"]
mod desk;

/// What the desk takes its lock from.
mod sync {
    pub(crate) use loom::sync::Mutex;
    use loom::sync::MutexGuard;

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().expect("no panic under the lock")
    }
}

use std::task::{Poll, Waker};

use desk::{Desk, Place, Stock};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

/// Numbers on a shelf; whoever wants one gets the lowest.
struct Shelf {
    numbers: Vec<u16>,
    given_back: usize,
}

impl Stock for Shelf {
    type Want = ();
    type Item = u16;
    type Refusal = ();
    type Now = u32;

    fn take(&mut self, (): &(), _: u32) -> Result<u16, ()> {
        self.numbers.pop().ok_or(())
    }

    fn is_for_now((): &()) -> bool {
        true
    }

    fn follows((): &(), (): &()) -> bool {
        true
    }
}

/// A desk, and how many threads hold something from it.
struct Shop {
    desk: Desk<Shelf>,
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
            desk: Desk::new(shelf),
            held: AtomicUsize::new(0),
            stock: stock.into(),
        })
    }

    /// Waits for a number as a request does that blocks its thread.
    fn take(&self) -> u16 {
        if let Ok(number) = self.desk.after_line(0, |shelf| shelf.take(&(), 0)) {
            return self.taken(number);
        }
        let back = Place::Back { most: 8 };
        let turn = self.desk.join((), 1, back, 0).expect("room in the line");
        let waker = unpark_this_thread();
        loop {
            if let Poll::Ready(served) = self.desk.poll(&turn, &waker) {
                return self.taken(served.expect("numbers are never refused for good"));
            }
            thread::park();
        }
    }

    /// Joins the line if there is nothing, and leaves it at once: a request that is cancelled.
    fn give_up(&self) {
        let taken = self.desk.after_line(0, |shelf| shelf.take(&(), 0)).ok();
        let number = taken.or_else(|| {
            let back = Place::Back { most: 8 };
            let turn = self.desk.join((), 1, back, 0).expect("room in the line");
            self.desk.leave(&turn)
        });
        if let Some(number) = number {
            self.taken(number);
            self.give_back(number);
        }
    }

    fn taken(&self, number: u16) -> u16 {
        let others = self.held.fetch_add(1, Ordering::SeqCst);
        assert!(others < self.stock, "more are held than there are");
        number
    }

    /// Gives a number back: it is no longer held before anybody else can have it.
    fn give_back(&self, number: u16) {
        self.held.fetch_sub(1, Ordering::SeqCst);
        self.desk.give_back(0, |shelf| {
            assert!(!shelf.numbers.contains(&number), "given back twice");
            shelf.numbers.push(number);
            shelf.given_back += 1;
        });
    }

    /// Nothing is lost, nothing is held, nobody waits.
    fn assert_even(&self, given_back: usize) {
        assert_eq!(self.desk.waiting(), 0);
        self.desk.with(|shelf| {
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

/// Tries all orders with up to three preemptions, which is where such mistakes are found.
fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

#[test]
fn two_that_wait_for_one_number_both_get_it() {
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
fn one_that_gives_up_passes_its_turn_on() {
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
        shop.desk
            .with(|shelf| assert_eq!(shelf.numbers.len(), shop.stock));
        assert_eq!(shop.desk.waiting(), 0);
    });
}

#[test]
fn the_first_in_line_is_served_first() {
    model(|| {
        let shop = Shop::new(1);
        let number = shop.take();
        let back = Place::Back { most: 2 };
        let first = shop.desk.join((), 1, back, 0).expect("room");
        let second = shop.desk.join((), 1, back, 0).expect("room");
        assert!(shop.desk.join((), 1, back, 0).is_none(), "the line is full");
        let giver = thread::spawn({
            let shop = Arc::clone(&shop);
            move || shop.give_back(number)
        });
        // Whatever a newcomer does meanwhile, the number goes to the front.
        let newcomer = shop.desk.after_line(0, |shelf| shelf.take(&(), 0));
        assert!(newcomer.is_err(), "a newcomer has overtaken the line");
        giver.join().expect("no panic");
        let noop = Waker::noop();
        assert!(shop.desk.poll(&second, noop).is_pending());
        let Poll::Ready(Ok(number)) = shop.desk.poll(&first, noop) else {
            panic!("the first has been served");
        };
        shop.desk.give_back(0, |shelf| shelf.numbers.push(number));
        assert!(shop.desk.poll(&second, noop).is_ready());
    });
}
