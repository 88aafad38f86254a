//! A service that can be found.

use std::io::{self, Write as _};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::client::{CallError, Client, ConnectError, Rpcbind};
use crate::registry::Claim;
use crate::rpc::record::put_record;
use crate::rpc::{Call, Credential};
use crate::rpcbind::{ABSTRACT_SOCKET, Name, PROGRAM, Rpcb, SOCKET, v3};
use crate::xdr;

/// How long to wait before the portmapper is looked for again; doubled up to [`LAST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait for a portmapper that is away.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// Keeps a service registered with this machine's portmapper for as long as this value lives.
///
/// The portmapper may be away at first, or go and come back: the service is registered when it is
/// there, and again when it has forgotten it. That is noticed at once, because a connection stays open.
/// Dropping the value takes the registration back.
#[derive(Debug)]
pub struct RegistrationGuard {
    requests: Vec<Rpcb>,
    socket: Option<String>,
    state: watch::Receiver<RegistrationState>,
    task: JoinHandle<()>,
}

/// How things stand with a [`RegistrationGuard`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RegistrationState {
    /// No portmapper is there (yet, or any more).
    Unreachable,
    /// The portmapper knows the service.
    Registered,
    /// The portmapper does not accept the service: somebody else is registered, or may.
    Refused,
}

impl RegistrationGuard {
    /// Registers programs with this machine's portmapper, now or when it is there.
    pub fn new(claims: impl IntoIterator<Item = Claim>) -> Self {
        Self::start(claims, None)
    }

    /// As [`new`](Self::new), with the portmapper that listens at this unix socket.
    pub fn at_socket(claims: impl IntoIterator<Item = Claim>, socket: &str) -> Self {
        Self::start(claims, Some(socket.to_owned()))
    }

    /// How things stand.
    pub fn state(&self) -> RegistrationState {
        *self.state.borrow()
    }

    /// Waits until the portmapper has accepted or refused the service.
    pub async fn settled(&mut self) -> RegistrationState {
        let settled = self
            .state
            .wait_for(|state| *state != RegistrationState::Unreachable);
        // It fails when the task that keeps the state has ended, which is when this is dropped.
        settled
            .await
            .map_or(RegistrationState::Unreachable, |state| *state)
    }

    fn start(claims: impl IntoIterator<Item = Claim>, socket: Option<String>) -> Self {
        let requests: Vec<_> = claims.into_iter().map(|claim| request(&claim)).collect();
        let (report, state) = watch::channel(RegistrationState::Unreachable);
        let task = tokio::spawn(keep_registered(requests.clone(), socket.clone(), report));
        Self {
            requests,
            socket,
            state,
            task,
        }
    }
}

impl Drop for RegistrationGuard {
    fn drop(&mut self) {
        self.task.abort();
        if self.state() == RegistrationState::Registered {
            // If the portmapper is away it has forgotten the service anyhow, or will find its
            // port free.
            let _ = unregister(&self.requests, self.socket.as_deref());
        }
    }
}

/// Registers, and does so again whenever the portmapper has gone and come back.
async fn keep_registered(
    requests: Vec<Rpcb>,
    socket: Option<String>,
    report: watch::Sender<RegistrationState>,
) {
    let mut wait = FIRST_WAIT;
    loop {
        match connect(socket.as_deref()).await {
            Ok(rpcbind) => {
                wait = FIRST_WAIT;
                register(&rpcbind, &requests, &report).await;
                rpcbind.client().closed().await;
                report.send_replace(RegistrationState::Unreachable);
                info!("the portmapper is gone");
            }
            Err(error) => debug!(%error, "no portmapper"),
        }
        sleep(wait).await;
        wait = LAST_WAIT.min(wait * 2);
    }
}

async fn register(rpcbind: &Rpcbind, requests: &[Rpcb], report: &watch::Sender<RegistrationState>) {
    match set_all(rpcbind, requests).await {
        Ok(true) => {
            report.send_replace(RegistrationState::Registered);
            info!(registrations = requests.len(), "registered");
        }
        Ok(false) => {
            report.send_replace(RegistrationState::Refused);
            warn!("the portmapper refuses the registration: somebody else may have it");
        }
        Err(error) => warn!(%error, "the portmapper does not answer"),
    }
}

async fn connect(socket: Option<&str>) -> Result<Rpcbind, ConnectError> {
    match socket {
        None => Rpcbind::local().await,
        Some(name) => Client::unix(name).await.map(Rpcbind::new),
    }
}

async fn set_all(rpcbind: &Rpcbind, requests: &[Rpcb]) -> Result<bool, CallError> {
    for request in requests {
        if rpcbind.set(request).await? {
            continue;
        }
        // What a predecessor of the same user left behind is in the way.
        rpcbind.unset(request).await?;
        if !rpcbind.set(request).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sends what takes the registrations back and does not wait for answers: this is called where
/// nothing can wait. A connection for each, because rpcbind reads no more than one call from a
/// connection that is closed.
fn unregister(requests: &[Rpcb], socket: Option<&str>) -> io::Result<()> {
    for (xid, request) in (1..).zip(requests) {
        let args = xdr::to_bytes(request);
        let call = Call {
            xid,
            program: PROGRAM,
            version: v3::VERSION,
            procedure: v3::UNSET,
            credential: Credential::None,
            args: &args,
        };
        let mut bytes = Vec::new();
        put_record(&mut bytes, |out| call.encode(out));
        let mut stream = match socket {
            Some(name) => connect_unix(name),
            None => connect_unix(ABSTRACT_SOCKET).or_else(|_| connect_unix(SOCKET)),
        }?;
        stream.set_write_timeout(Some(Duration::from_millis(200)))?;
        stream.write_all(&bytes)?;
    }
    Ok(())
}

fn connect_unix(name: &str) -> io::Result<UnixStream> {
    let address = match name.strip_prefix('@') {
        Some(name) => UnixAddress::from_abstract_name(name),
        None => UnixAddress::from_pathname(name),
    }?;
    UnixStream::connect_addr(&address)
}

fn request(claim: &Claim) -> Rpcb {
    Rpcb {
        program: claim.program,
        version: claim.version,
        netid: Name::truncated(claim.netid.name()),
        address: Name::truncated(&claim.address.to_string()),
        owner: Name::default(),
    }
}
