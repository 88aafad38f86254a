//! From a server's name to an address of it that answers.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::{ToSocketAddrs, lookup_host};

use super::{
    Client, TransferError,
    handshake::{self, AnswerDeadline, Opened},
};
use crate::{
    net::ClientSocket,
    proto::{Blksize, Direction, ErrorCode, Mode, Options, Request, Windowsize},
};

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct FileRequest<'a> {
    pub(super) direction: Direction,
    pub(super) name: &'a [u8],
    /// How much there is to be written, if that is known.
    pub(super) size: Option<u64>,
}

impl<'a> FileRequest<'a> {
    pub(super) const fn read(name: &'a [u8]) -> Self {
        Self {
            direction: Direction::Read,
            name,
            size: None,
        }
    }

    pub(super) const fn write(name: &'a [u8], size: Option<u64>) -> Self {
        Self {
            direction: Direction::Write,
            name,
            size,
        }
    }
}

impl Client {
    /// Asks one address of `server` after the other, until one of them answers. An address that
    /// is silent is not passed over: its answer may be on the way.
    pub(super) async fn open(
        &self,
        server: impl ToSocketAddrs,
        file: FileRequest<'_>,
    ) -> Result<Opened, TransferError> {
        if file.name.is_empty() || file.name.contains(&0) {
            return Err(TransferError::Name);
        }
        let servers = lookup_host(server).await;
        let servers = servers.map_err(TransferError::NoSuchHost)?;
        let limit = AnswerDeadline::new(self.answer_within);
        let mut failure = TransferError::NoSuchHost(io::ErrorKind::NotFound.into());
        for server in servers {
            match self.open_at(server, file, limit).await {
                Err(error) if error.is_unreachable() => failure = more_telling(failure, error),
                other => return other,
            }
        }
        Err(failure)
    }

    /// Asks one address, and once more without options if it does not like them (RFC 2347).
    async fn open_at(
        &self,
        server: SocketAddr,
        file: FileRequest<'_>,
        limit: AnswerDeadline,
    ) -> Result<Opened, TransferError> {
        let socket = self.socket(server)?;
        let options = self.asked(file, &socket);
        let request = Request {
            direction: file.direction,
            filename: file.name,
            mode: self.mode,
            options,
        };
        match handshake::open(socket, server, &request, limit).await {
            Err(error)
                if error.code() == Some(ErrorCode::OptionNegotiation) && !options.is_empty() =>
            {
                let plain = Request {
                    options: Options::default(),
                    ..request
                };
                // From another port: the server may still hold the first request against this one.
                handshake::open(self.socket(server)?, server, &plain, limit).await
            }
            other => other,
        }
    }

    fn socket(&self, server: SocketAddr) -> Result<ClientSocket, TransferError> {
        let any: IpAddr = if server.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let lease = self.allocator.udp(any).lease();
        let lease = lease.map_err(TransferError::NoPort)?;
        ClientSocket::new(lease).map_err(TransferError::Socket)
    }

    /// The options for `file`: those that make sense, and a window that `socket` can take in.
    fn asked(&self, file: FileRequest<'_>, socket: &ClientSocket) -> Options {
        let mut options = self.options;
        // What netascii makes of a file is not known before it is read to its end; tftpd-hpa 5.2
        // refuses a request that wants to know.
        options.tsize = options.tsize.filter(|_| self.mode == Mode::Octet);
        options.tsize = options.tsize.and(match file.direction {
            Direction::Read => Some(0),
            Direction::Write => file.size,
        });
        if file.direction == Direction::Read {
            options.windowsize = options.windowsize.map(|window| {
                let block = in_memory(options.blksize.unwrap_or(Blksize::DEFAULT));
                // Two windows: one may come again before the first is read.
                let wanted = block * 2 * usize::from(window.blocks());
                let room = socket.reserve(wanted.min(MOST_BUFFER));
                let fitting = u16::try_from(room / block).unwrap_or(u16::MAX);
                window.min(Windowsize::closest_to(fitting))
            });
        }
        options
    }
}

/// The largest receive buffer that is asked for.
const MOST_BUFFER: usize = 64 << 20;

/// What a block takes in the receive buffer, where a packet is counted with its administration
/// and rounded up to a power of two.
fn in_memory(blksize: Blksize) -> usize {
    768 + 2 * usize::from(blksize.bytes())
}

/// Of two reasons why a server cannot be reached at two of its addresses the one to be told. That
/// there is no way to one of them says little: many machines have no IPv6.
fn more_telling(first: TransferError, second: TransferError) -> TransferError {
    match first {
        TransferError::NoSuchHost(_) | TransferError::Unreachable { .. } => second,
        first => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_host_tells_more_than_a_missing_route() {
        let server = "192.0.2.1:69".parse().expect("an address");
        let no_route = || TransferError::Unreachable {
            server,
            source: io::ErrorKind::NetworkUnreachable.into(),
        };
        let closed = || TransferError::NothingListens(server);
        for told in [
            more_telling(no_route(), closed()),
            more_telling(closed(), no_route()),
        ] {
            assert!(matches!(told, TransferError::NothingListens(_)), "{told}");
        }
    }
}
