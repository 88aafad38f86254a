//! Registration of a service with the portmapper, for as long as the service runs.

use std::io::{self, Write as _};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::client::{CallError, Client, ConnectError, Rpcbind};
use crate::registry::Claim;
use crate::rpc::{Call, Credential, put_record};
use crate::rpcbind::{ABSTRACT_SOCKET, Name, PROGRAM, Rpcb, SOCKET, v3};
use crate::transport::connect_unix;
use crate::xdr;

/// The first wait before the portmapper is tried again; doubled up to [`LAST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait between two attempts to connect to the portmapper.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// A registration with this machine's portmapper that lasts as long as this value.
///
/// The portmapper may be absent at first, or restart: the service is registered when the portmapper
/// becomes reachable, and again after a restart, which the loss of the open connection reveals.
/// Dropping the value removes the registration.
#[derive(Debug)]
pub struct RegistrationGuard {
    requests: Vec<Rpcb>,
    socket: Option<String>,
    state: watch::Receiver<RegistrationState>,
    task: JoinHandle<()>,
}

/// The state of a [`RegistrationGuard`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RegistrationState {
    /// No portmapper is reachable, or none is any more.
    Unreachable,
    /// The portmapper has accepted the service.
    Registered,
    /// The portmapper rejects the service: another owner holds the registration, or this user may
    /// not register it.
    Refused,
}

impl RegistrationGuard {
    /// Registers programs with this machine's portmapper, as soon as it is reachable.
    pub fn new(claims: impl IntoIterator<Item = Claim>) -> Self {
        Self::start(claims, None)
    }

    /// Registers programs with the portmapper behind this unix socket: a path, or an abstract name
    /// after `@`.
    pub fn at_socket(claims: impl IntoIterator<Item = Claim>, socket: &str) -> Self {
        Self::start(claims, Some(socket.to_owned()))
    }

    /// Returns the current state.
    pub fn state(&self) -> RegistrationState {
        *self.state.borrow()
    }

    /// Waits until the portmapper has accepted or rejected the service.
    pub async fn settled(&mut self) -> RegistrationState {
        let settled = self
            .state
            .wait_for(|state| *state != RegistrationState::Unreachable);
        // The wait fails once the task that reports the state has ended, which happens on drop.
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
            // An absent portmapper has lost the registration, or will find the port free.
            let _ = unregister(&self.requests, self.socket.as_deref());
        }
    }
}

/// Registers, and registers again whenever the portmapper has restarted.
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
                info!("lost the connection to the portmapper");
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
            warn!("the portmapper rejects the registration: another owner may hold it");
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
        // A registration left behind by an earlier process of the same user is removed first.
        rpcbind.unset(request).await?;
        if !rpcbind.set(request).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sends UNSET for all registrations without waiting for answers, since this runs in `drop`. Each
/// goes over a connection of its own, because rpcbind reads only one call from a connection that is
/// closed.
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

fn request(claim: &Claim) -> Rpcb {
    Rpcb {
        program: claim.program,
        version: claim.version,
        netid: Name::truncated(claim.netid.name()),
        address: Name::truncated(&claim.address.to_string()),
        owner: Name::default(),
    }
}
