//! Calls by datagram.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use eport_core::datagram::{Buffer, reply};
use tokio::io::Interest;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::caller::{Caller, Peer};
use super::dispatcher::Dispatcher;
use super::reply_cache::{Key, Lookup, ReplyCache};
use super::streams::Shared;
use crate::rpcbind::{Family, Netid};
use crate::transport::{call_buffer, now};

/// Datagrams received in one run before the task yields.
const BATCH: usize = 32;

/// The task that receives the calls of one UDP socket.
pub(super) struct DatagramServer {
    buffer: Buffer,
    context: Arc<Context>,
    waiting: Arc<Semaphore>,
    stop: CancellationToken,
    abort: CancellationToken,
    alive: mpsc::Sender<std::convert::Infallible>,
}

/// The parts that a call by datagram uses until it is answered.
struct Context {
    socket: tokio::net::UdpSocket,
    dispatcher: Arc<Dispatcher>,
    replies: Option<Arc<ReplyCache>>,
}

/// A received call.
struct Datagram {
    message: Vec<u8>,
    peer: SocketAddr,
    local: SocketAddr,
}

impl DatagramServer {
    pub(super) fn new(
        socket: UdpSocket,
        shared: &Shared,
        replies: Option<Arc<ReplyCache>>,
    ) -> io::Result<Self> {
        let buffer = call_buffer(&socket)?;
        let context = Context {
            socket: tokio::net::UdpSocket::from_std(socket)?,
            dispatcher: Arc::clone(&shared.dispatcher),
            replies,
        };
        Ok(Self {
            buffer,
            context: Arc::new(context),
            waiting: Arc::new(Semaphore::new(shared.limits.waiting_datagrams)),
            stop: shared.stop.clone(),
            abort: shared.abort.clone(),
            alive: shared.alive.clone(),
        })
    }

    /// Answers calls until the server stops.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                // A socket error reports the fate of an earlier datagram; the next one may be fine.
                _ = self.context.socket.readable() => {}
            }
            for _ in 0..BATCH {
                match self.next() {
                    Ok(Some(datagram)) => self.handle(datagram).await,
                    Ok(None) => {}
                    Err(_) => break,
                }
            }
            tokio::task::consume_budget().await;
        }
    }

    fn next(&mut self) -> io::Result<Option<Datagram>> {
        let socket = &self.context.socket;
        socket.try_io(Interest::READABLE, || {
            let arrival = self.buffer.receive(socket)?;
            Ok(arrival.map(|arrival| Datagram {
                message: arrival.bytes.to_vec(),
                peer: arrival.client,
                local: arrival.source(),
            }))
        })
    }

    /// Answers without a task of its own if the method is ready on the first poll; otherwise spawns
    /// one, if fewer than the limit are waiting.
    async fn handle(&self, datagram: Datagram) {
        let mut work = Box::pin(Arc::clone(&self.context).answer(datagram));
        if poll_once(work.as_mut()).await.is_ready() {
            return;
        }
        let Ok(permit) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return;
        };
        let (abort, alive) = (self.abort.clone(), self.alive.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = abort.cancelled() => {}
                () = work => {}
            }
            drop((permit, alive));
        });
    }
}

impl Context {
    async fn answer(self: Arc<Self>, datagram: Datagram) {
        let Datagram {
            message,
            peer,
            local,
        } = datagram;
        // A dual-stack socket reports IPv4 peers as IPv4-mapped IPv6 addresses.
        let from = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let transport = Netid::Udp.over(Family::from_ip(from.ip()));
        let caller = Caller::new(transport, Peer::Ip(from), Some(local.ip().to_canonical()));
        if !self.dispatcher.accepts_datagram(&caller) {
            return;
        }
        let Ok(cache_key) = self.look_up(&message, peer, local) else {
            return;
        };
        let Some(bytes) = self.dispatcher.answer(caller.clone(), &message).await else {
            return;
        };
        if let Some(bytes) = self.dispatcher.for_datagram(&caller, &message, bytes) {
            if let (Some(replies), Some(key)) = (&self.replies, cache_key) {
                replies.store(key, &bytes);
            }
            self.send(&bytes, local, peer);
        }
    }

    /// Repeats a cached reply; `Err` if nothing is left to do.
    fn look_up(
        &self,
        message: &[u8],
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Result<Option<Key>, ()> {
        let Some(replies) = &self.replies else {
            return Ok(None);
        };
        match replies.look_up(peer, message, now()) {
            Lookup::New(key) => Ok(Some(key)),
            Lookup::InProgress => Err(()),
            Lookup::Answered(bytes) => {
                self.send(&bytes, local, peer);
                Err(())
            }
        }
    }

    /// Sends a reply; one that the system does not accept now is lost, as any datagram may be.
    fn send(&self, bytes: &[u8], local: SocketAddr, peer: SocketAddr) {
        let _ = reply(&self.socket, bytes, local, peer);
    }
}

async fn poll_once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}
