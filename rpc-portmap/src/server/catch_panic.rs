//! Panics of methods, caught at the future.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::program::BoxFuture;

/// A future that returns a panic as a value, so that one faulty method does not stop the server.
pub(super) struct CatchPanic<'a, T>(pub(super) BoxFuture<'a, T>);

/// A method panicked; the panic hook has logged the place.
pub(super) struct PanicError;

impl<T> Future for CatchPanic<'_, T> {
    type Output = Result<T, PanicError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // The future is dropped after a panic, so its broken state is never observed.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(PanicError)),
        }
    }
}
