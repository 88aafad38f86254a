//! The lock of the queue.

pub(super) use std::sync::Mutex;
use std::sync::{MutexGuard, PoisonError, TryLockError};

/// The tries of a taken lock before the thread sleeps: about 2 µs.
const TRIES: u32 = 64;
/// Pauses between two tries, during which the holder keeps the cache line to itself.
const PAUSES: u32 = 4;

/// Locks, after spinning for a moment if necessary.
///
/// The lock is held for some tens of nanoseconds; to put a thread to sleep and wake it up takes
/// thousands. The standard lock stops spinning as soon as one thread sleeps, and then two threads
/// take turns through the kernel.
///
/// No code that can panic runs under the lock, so a poisoned one is still sound.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    for _ in 0..TRIES {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {}
        }
        for _ in 0..PAUSES {
            std::hint::spin_loop();
        }
    }
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
