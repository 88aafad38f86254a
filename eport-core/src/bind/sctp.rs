//! SCTP, which the standard library has no type for.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::SockRef;

/// A listening SCTP socket in the one-to-one style
/// ([RFC 6458 §4](https://www.rfc-editor.org/rfc/rfc6458#section-4)): it accepts associations as a
/// TCP listener accepts connections.
///
/// It is only a descriptor; an SCTP library takes it from there.
#[derive(Debug)]
pub struct SctpListener(OwnedFd);

impl SctpListener {
    /// Returns the address it is bound to.
    ///
    /// # Errors
    /// The error of the system, if it is not a bound socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = SockRef::from(self).local_addr()?;
        address.as_socket().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "the socket has no IP address")
        })
    }
}

impl AsFd for SctpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for SctpListener {
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}

impl From<SctpListener> for OwnedFd {
    fn from(listener: SctpListener) -> Self {
        listener.0
    }
}
