//! Methods that panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::program::BoxFuture;

/// A future whose panic is a value, so that one bad method does not take a server down.
pub(super) struct CatchPanic<'a, T>(pub(super) BoxFuture<'a, T>);

/// A method panicked; the panic hook has said where.
pub(super) struct PanicError;

impl<T> Future for CatchPanic<'_, T> {
    type Output = Result<T, PanicError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // The future is dropped after a panic, so nobody sees what state it is in.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(PanicError)),
        }
    }
}
