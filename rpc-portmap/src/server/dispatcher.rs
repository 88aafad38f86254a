//! The way from a message to its reply: decoding, layers, procedure.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use super::caller::Caller;
use super::catch_panic::CatchPanic;
use super::layer::{Layer, Outcome, Rejection, Request};
use super::program::ProgramVersion;
use crate::rpc::{
    AuthStat, Call, CallDecodeError, NULL_PROCEDURE, Program, RpcError, Version, put_error,
    put_success,
};

/// The longest reply that fits into a datagram, in bytes.
const MAX_DATAGRAM: usize = 65_507;

/// The programs of a server and the layers around them.
#[derive(Default)]
pub(super) struct Dispatcher {
    programs: HashMap<Program, BTreeMap<Version, Arc<dyn ProgramVersion>>>,
    layers: Vec<Arc<dyn Layer>>,
}

impl Dispatcher {
    pub(super) fn mount(&mut self, version: Arc<dyn ProgramVersion>) {
        let versions = self.programs.entry(version.program()).or_default();
        versions.insert(version.version(), version);
    }

    pub(super) fn wrap(&mut self, layer: Arc<dyn Layer>) {
        self.layers.push(layer);
    }

    /// Returns the programs with their versions.
    pub(super) fn programs(&self) -> impl Iterator<Item = (Program, Vec<Version>)> {
        let versions = |versions: &BTreeMap<_, _>| versions.keys().copied().collect();
        self.programs
            .iter()
            .map(move |(program, of)| (*program, versions(of)))
    }

    /// Returns the reply to a message; `None` for a message that is not answered.
    pub(super) async fn answer(&self, caller: Caller, message: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(64);
        let call = match Call::decode(message) {
            Ok(call) => call,
            Err(CallDecodeError::Faulty { xid, error }) => {
                put_error(xid, error, &mut out);
                return Some(out);
            }
            Err(CallDecodeError::NotACall) => return None,
        };
        let caller = caller.with(&call.credential);
        let request = Request {
            program: call.program,
            version: call.version,
            procedure: call.procedure,
            bytes: message.len(),
        };
        put_success(call.xid, &mut out);
        match self.run(&caller, &request, &call, &mut out).await {
            Ok(()) => Some(out),
            Err(Rejection::Silent) => None,
            Err(Rejection::Error(error)) => {
                out.clear();
                put_error(call.xid, error, &mut out);
                Some(out)
            }
        }
    }

    /// Returns true if no layer drops datagrams of this caller.
    pub(super) fn accepts_datagram(&self, caller: &Caller) -> bool {
        self.layers
            .iter()
            .all(|layer| layer.accepts_datagram(caller))
    }

    /// Returns the reply to send by datagram: `SYSTEM_ERR` if it is longer than a datagram,
    /// `AUTH_TOOWEAK` if a layer does not allow its length towards a source address that may be
    /// forged, `None` if not even that is allowed.
    pub(super) fn for_datagram(
        &self,
        caller: &Caller,
        request: &[u8],
        mut out: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let admits = |bytes| {
            let mut layers = self.layers.iter();
            layers.all(|layer| layer.allows_reply(caller, request.len(), bytes))
        };
        let xid = request.first_chunk().copied().map_or(0, u32::from_be_bytes);
        if out.len() > MAX_DATAGRAM {
            out.clear();
            put_error(xid, RpcError::SystemErr, &mut out);
        }
        if !admits(out.len()) {
            out.clear();
            put_error(xid, RpcError::Auth(AuthStat::TooWeak), &mut out);
        }
        admits(out.len()).then_some(out)
    }

    /// Passes the call through the layers, carries it out, and reports the outcome to the layers
    /// that passed it.
    async fn run(
        &self,
        caller: &Caller,
        request: &Request,
        call: &Call<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        for (index, layer) in self.layers.iter().enumerate() {
            if let Err(refused) = layer.before(caller, request) {
                self.notify(index, caller, request, outcome(Err(refused), 0));
                return Err(refused);
            }
        }
        let header = out.len();
        let result = self.call(caller, call, out).await;
        let bytes = out.len() - header;
        self.notify(self.layers.len(), caller, request, outcome(result, bytes));
        result
    }

    fn notify(&self, layers: usize, caller: &Caller, request: &Request, outcome: Outcome) {
        for layer in self.layers.iter().take(layers).rev() {
            layer.after(caller, request, outcome);
        }
    }

    async fn call(
        &self,
        caller: &Caller,
        call: &Call<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        let versions = self
            .programs
            .get(&call.program)
            .ok_or(RpcError::ProgUnavail)?;
        let version = versions
            .get(&call.version)
            .ok_or_else(|| mismatch(versions))?;
        if call.procedure == NULL_PROCEDURE {
            return Ok(());
        }
        let work = version.call(caller, call.procedure, call.args, out);
        CatchPanic(work)
            .await
            .unwrap_or(Err(Rejection::Error(RpcError::SystemErr)))
    }
}

fn mismatch(versions: &BTreeMap<Version, Arc<dyn ProgramVersion>>) -> RpcError {
    match (versions.first_key_value(), versions.last_key_value()) {
        (Some((&low, _)), Some((&high, _))) => RpcError::ProgMismatch { low, high },
        _ => RpcError::ProgUnavail,
    }
}

const fn outcome(result: Result<(), Rejection>, bytes: usize) -> Outcome {
    match result {
        Ok(()) => Outcome::Done { bytes },
        Err(Rejection::Error(error)) => Outcome::Failed(error),
        Err(Rejection::Silent) => Outcome::Silent,
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions = self.programs.iter().map(|(program, versions)| {
            let versions: Vec<_> = versions.keys().collect();
            (program, versions)
        });
        f.debug_map().entries(versions).finish()
    }
}
