//! One line for each call.

use tracing::debug;

use super::super::caller::Caller;
use super::super::layer::{Layer, Outcome, Request};

/// Writes a `debug` event for each call that is carried out: who asked for what, and what became of
/// it. Any client can cause them, so they are not `info`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Trace;

impl Layer for Trace {
    fn after(&self, caller: &Caller, request: &Request, outcome: Outcome) {
        debug!(
            peer = %caller.peer(),
            netid = %caller.transport(),
            program = request.program.get(),
            version = request.version.get(),
            procedure = request.procedure.get(),
            bytes = request.bytes,
            outcome = %outcome,
            "call"
        );
    }
}
