//! Name resolution, and the first server address that answers.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::ToSocketAddrs;

use super::{
    Client, TransferError,
    handshake::{self, AnswerDeadline, Opened},
};
use crate::{
    net::ClientSocket,
    proto::{Blksize, Direction, ErrorCode, Mode, Options, Request, Windowsize},
};

/// The file to read or write.
#[derive(Clone, Copy)]
pub(super) struct FileRequest<'a> {
    pub(super) direction: Direction,
    pub(super) name: &'a [u8],
    /// Bytes to be written, if known.
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
    /// Sends the request to one address of `server` after the other, until one answers. An address
    /// without an answer ends the search: the answer may be in flight.
    pub(super) async fn open(
        &self,
        server: impl ToSocketAddrs,
        file: FileRequest<'_>,
    ) -> Result<Opened, TransferError> {
        if file.name.is_empty() || file.name.contains(&0) {
            return Err(TransferError::Name);
        }
        let servers = look_up(server).await;
        let servers = servers.map_err(TransferError::NoSuchHost)?;
        let limit = AnswerDeadline::new(self.answer_within);
        let mut failure = TransferError::NoSuchHost(io::ErrorKind::NotFound.into());
        for server in servers {
            match self.open_at(server, file, limit).await {
                Err(error) if error.is_unreachable() => failure = more_specific(failure, error),
                other => return other,
            }
        }
        Err(failure)
    }

    /// Sends the request to one address, and again without options after ERROR 8 (RFC 2347).
    async fn open_at(
        &self,
        server: SocketAddr,
        file: FileRequest<'_>,
        limit: AnswerDeadline,
    ) -> Result<Opened, TransferError> {
        let socket = self.socket(server)?;
        let options = self.options_for(file, &socket);
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
                // From another port: the server may take a second request from the same port for
                // a repetition of the first.
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

    /// Returns the options for `file`, with a window that fits the receive buffer of `socket`.
    fn options_for(&self, file: FileRequest<'_>, socket: &ClientSocket) -> Options {
        let mut options = self.options;
        // The size in netascii is known only at the end of the file; tftpd-hpa 5.2 refuses a
        // netascii request with tsize.
        options.tsize = options.tsize.filter(|_| self.mode == Mode::Octet);
        options.tsize = options.tsize.and(match file.direction {
            Direction::Read => Some(0),
            Direction::Write => file.size,
        });
        if file.direction == Direction::Read {
            options.windowsize = options.windowsize.map(|window| {
                let block = in_memory(options.blksize.unwrap_or(Blksize::DEFAULT));
                // Two windows: one may be sent again before the first is read.
                let wanted = block * 2 * usize::from(window.blocks());
                let room = socket.reserve(wanted.min(MAX_BUFFER));
                let fitting = u16::try_from(room / block).unwrap_or(u16::MAX);
                window.min(Windowsize::closest_to(fitting))
            });
        }
        options
    }
}

/// The largest receive buffer requested from the system, in bytes.
const MAX_BUFFER: usize = 64 << 20;

/// Returns the bytes that a block occupies in the receive buffer, where the kernel counts a packet
/// with its metadata and rounds up to a power of two.
fn in_memory(blksize: Blksize) -> usize {
    768 + 2 * usize::from(blksize.bytes())
}

/// Returns the error to report if a server cannot be reached at two of its addresses. A missing
/// route is the less specific one: many machines have no IPv6.
fn more_specific(first: TransferError, second: TransferError) -> TransferError {
    match first {
        TransferError::NoSuchHost(_) | TransferError::Unreachable { .. } => second,
        first => first,
    }
}

/// Looks up the addresses of a host.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that looks up names of hosts"
)]
pub(crate) async fn look_up(
    host: impl ToSocketAddrs,
) -> io::Result<impl Iterator<Item = SocketAddr>> {
    tokio::net::lookup_host(host).await
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
            more_specific(no_route(), closed()),
            more_specific(closed(), no_route()),
        ] {
            assert!(matches!(told, TransferError::NothingListens(_)), "{told}");
        }
    }
}
