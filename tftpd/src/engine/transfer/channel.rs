//! The channel between a transfer and its client, and the sockets behind it.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};

use eport_core::{Allocator, LeaseError};

use crate::{
    engine::record::Rejection,
    net::{Received, SendError, TransferSocket},
    proto::{Blksize, Windowsize},
};

/// Datagrams to and from one client. The engine uses [`TransferSocket`]; tests use memory.
pub(crate) trait Channel {
    /// Returns the port on this side.
    fn port(&self) -> u16;

    /// Returns true for the listening socket, whose datagrams the engine receives and delivers.
    fn is_shared(&self) -> bool;

    /// Returns the largest block that reaches the client unfragmented, if the path is known.
    fn whole_blksize(&self) -> Option<Blksize>;

    /// Sends windows of `blksize` with one call each, if the kernel can segment them.
    fn segment(&mut self, blksize: Blksize, windowsize: Windowsize);

    /// Receives one datagram.
    fn receive<'b>(&self, buffer: &'b mut [u8]) -> Received<'b>;

    /// Sends one datagram.
    fn send(&mut self, datagram: &[u8]) -> Result<(), SendError>;

    /// Sends consecutive datagrams of `stride` bytes each; the last may be shorter.
    fn send_run(&mut self, datagrams: &[u8], stride: usize) -> Result<(), SendError>;
}

impl Channel for TransferSocket {
    fn port(&self) -> u16 {
        self.port()
    }

    fn is_shared(&self) -> bool {
        self.is_shared()
    }

    fn whole_blksize(&self) -> Option<Blksize> {
        self.whole_blksize()
    }

    fn segment(&mut self, blksize: Blksize, windowsize: Windowsize) {
        self.segment(blksize, windowsize);
    }

    fn receive<'b>(&self, buffer: &'b mut [u8]) -> Received<'b> {
        self.receive(buffer)
    }

    fn send(&mut self, datagram: &[u8]) -> Result<(), SendError> {
        self.send(datagram)
    }

    fn send_run(&mut self, datagrams: &[u8], stride: usize) -> Result<(), SendError> {
        self.send_run(datagrams, stride)
    }
}

/// Opens the channels of accepted transfers.
pub(crate) trait OpenChannel {
    /// The channels that it opens.
    type Channel: Channel;

    /// Opens a channel from `local`, the address of the request, to `client`. `listener` is the
    /// index of the listening socket that received the request.
    fn open(
        &self,
        local: SocketAddr,
        client: SocketAddr,
        listener: usize,
    ) -> Result<Self::Channel, Rejection>;
}

/// The sockets of transfers.
pub(crate) enum Sockets {
    /// A leased port for each transfer.
    Leased(Allocator),
    /// The listening sockets, for all transfers.
    Shared(Vec<Arc<UdpSocket>>),
}

impl OpenChannel for Sockets {
    type Channel = TransferSocket;

    fn open(
        &self,
        local: SocketAddr,
        client: SocketAddr,
        listener: usize,
    ) -> Result<TransferSocket, Rejection> {
        match self {
            Self::Leased(allocator) => {
                let lease = allocator.udp(local).peer(client).lease();
                lease
                    .map(TransferSocket::own)
                    .map_err(|error| rejection(&error))
            }
            Self::Shared(listeners) => {
                let listener = listeners.get(listener).ok_or(Rejection::Io)?;
                Ok(TransferSocket::shared(Arc::clone(listener), local, client))
            }
        }
    }
}

fn rejection(error: &LeaseError) -> Rejection {
    match error {
        LeaseError::Exhausted { .. } => Rejection::NoPort,
        LeaseError::NoDescriptors { .. } | LeaseError::NoMemory { .. } => Rejection::Busy,
        _ => Rejection::Io,
    }
}

/// Channels in memory.
#[cfg(test)]
pub(crate) mod memory {
    use std::{
        cell::{Cell, RefCell},
        collections::VecDeque,
        rc::Rc,
    };

    use super::{
        Blksize, Channel, OpenChannel, Received, Rejection, SendError, SocketAddr, Windowsize,
    };

    /// A channel whose two ends are queues.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct MemoryChannel {
        pub(crate) port: u16,
        pub(crate) is_shared: bool,
        pub(crate) sent: Rc<RefCell<Vec<Vec<u8>>>>,
        pub(crate) inbox: Rc<RefCell<VecDeque<Vec<u8>>>>,
        /// Makes every send fail as by a firewall.
        pub(crate) is_forbidden: Rc<Cell<bool>>,
    }

    impl Channel for MemoryChannel {
        fn port(&self) -> u16 {
            self.port
        }

        fn is_shared(&self) -> bool {
            self.is_shared
        }

        fn whole_blksize(&self) -> Option<Blksize> {
            None
        }

        fn segment(&mut self, _: Blksize, _: Windowsize) {}

        fn receive<'b>(&self, buffer: &'b mut [u8]) -> Received<'b> {
            let Some(datagram) = self.inbox.borrow_mut().pop_front() else {
                return Received::Nothing;
            };
            let room = &mut buffer[..datagram.len()];
            room.copy_from_slice(&datagram);
            Received::Datagram(room)
        }

        fn send(&mut self, datagram: &[u8]) -> Result<(), SendError> {
            if self.is_forbidden.get() {
                return Err(SendError::Forbidden);
            }
            self.sent.borrow_mut().push(datagram.to_vec());
            Ok(())
        }

        fn send_run(&mut self, datagrams: &[u8], stride: usize) -> Result<(), SendError> {
            let mut datagrams = datagrams.chunks(stride);
            datagrams.try_for_each(|datagram| self.send(datagram))
        }
    }

    /// A number of ports, each of which is used once.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct MemoryPorts {
        pub(crate) left: Rc<Cell<u16>>,
        pub(crate) is_shared: bool,
    }

    impl OpenChannel for MemoryPorts {
        type Channel = MemoryChannel;

        fn open(&self, _: SocketAddr, _: SocketAddr, _: usize) -> Result<MemoryChannel, Rejection> {
            let port = self.left.get();
            self.left.set(port.checked_sub(1).ok_or(Rejection::NoPort)?);
            Ok(MemoryChannel {
                port,
                is_shared: self.is_shared,
                ..MemoryChannel::default()
            })
        }
    }
}
