//! Datagrams of calls, with the address they were sent to.

use std::io;
use std::net::UdpSocket;

use eport_core::datagram::{Buffer, report_destination};

/// The longest call that is read, in bytes. A longer one is dropped.
const LONGEST: usize = 9216;

/// Makes `socket` report destinations, and allocates room for the calls that arrive on it.
pub(crate) fn call_buffer(socket: &UdpSocket) -> io::Result<Buffer> {
    report_destination(socket)?;
    Buffer::new(socket, LONGEST)
}
