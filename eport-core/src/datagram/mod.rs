//! UDP for listeners on several addresses: each datagram with the address it was sent to, and
//! replies that leave from that address.
//!
//! A listener on `0.0.0.0` or `[::]` answers from whichever address the routing table names, which
//! on a host with several addresses is not always the one the client sent to; clients drop such a
//! reply. [`report_destination`] makes the kernel attach the destination to each datagram
//! (`IP_PKTINFO`, `IPV6_RECVPKTINFO`), [`Inbox`] and [`Buffer`] read it, [`reply`] sends it back as
//! the source:
//!
//! ```
//! use eport_core::bind::{self, UdpOptions};
//! use eport_core::datagram::{self, Buffer};
//!
//! let listener = bind::udp("0.0.0.0:0".parse()?, &UdpOptions::default())?;
//! datagram::report_destination(&listener)?;
//! let client = bind::udp("127.0.0.1:0".parse()?, &UdpOptions::default().blocking(true))?;
//! client.send_to(b"ping", ("127.0.0.77", listener.local_addr()?.port()))?;
//!
//! let mut buffer = Buffer::new(&listener, 512)?;
//! let arrival = buffer.receive(&listener)?.expect("complete, with its destination");
//! datagram::reply(&listener, b"pong", arrival.source(), arrival.client)?;
//!
//! let (_, from) = client.recv_from(&mut [0; 8])?;
//! assert_eq!(from.ip().to_string(), "127.0.0.77");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrival;
mod buffer;
mod inbox;
mod reply;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, UdpSocket};

pub use arrival::Arrival;
/// For tftpd's client socket; not part of the stable surface, since its argument is a type of nix.
#[doc(hidden)]
pub use arrival::socket_addr;
pub use buffer::Buffer;
pub use inbox::Inbox;
use nix::sys::socket::{setsockopt, sockopt};
pub use reply::reply;

/// Makes the kernel attach the destination address to each datagram that reaches `socket` from now
/// on. Datagrams that are in its receive buffer already have none and are dropped when they are read.
///
/// # Errors
/// The error of `getsockname` or `setsockopt`.
pub fn report_destination(socket: &UdpSocket) -> io::Result<()> {
    match socket.local_addr()? {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}
