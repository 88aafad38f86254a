//! TFTP as plain values: packets, options and the two state machines of a transfer.
//!
//! Nothing here opens a socket or a file, reads a clock or draws a random number: bytes and time
//! go in, decisions come out. Server, client and simulation drive the same code.
//!
//! | document | what | where |
//! |---|---|---|
//! | [RFC 1350](https://www.rfc-editor.org/rfc/rfc1350) | the protocol | [`Packet`], [`Sender`], [`Receiver`], [`Transfer`] |
//! | [RFC 1123 §4.2.3](https://www.rfc-editor.org/rfc/rfc1123#page-44) | duplicate ACKs, timers | [`Sender`] |
//! | [RFC 2347](https://www.rfc-editor.org/rfc/rfc2347) | options | [`Options`], [`grant`], [`accept`] |
//! | [RFC 2348](https://www.rfc-editor.org/rfc/rfc2348) | blksize | [`Blksize`] |
//! | [RFC 2349](https://www.rfc-editor.org/rfc/rfc2349) | timeout, tsize | [`Timeout`], [`Options::tsize`] |
//! | tftp-hpa | blksize2, utimeout, rollover | [`Options`], [`Rollover`] |
//! | [RFC 7440](https://www.rfc-editor.org/rfc/rfc7440) | windowsize | [`Windowsize`] |

mod block;
mod data;
mod error;
mod mode;
mod negotiate;
mod netascii;
mod oack;
mod opcode;
mod option;
mod outcome;
mod packet;
mod receiver;
mod request;
mod retransmit;
mod sender;
mod transfer;

pub use block::Rollover;
pub use data::{Ack, DATA_HEADER, Data};
pub use error::{DecodeError, Error, ErrorCode, MAX_ERROR_TEXT};
pub use mode::Mode;
pub use negotiate::{GrantLimits, Terms, accept, grant};
pub use netascii::{NetasciiDecoder, NetasciiEncoder, netascii_len};
pub use oack::Oack;
pub use opcode::Opcode;
pub use option::{Blksize, OackError, Options, Timeout, Utimeout, Windowsize};
pub use outcome::{Input, Outcome, Patience, Stage};
pub use packet::Packet;
pub use receiver::{Opening, Receiver, ReceiverConfig, ReceiverOutput, Stored};
pub use request::{Direction, Request};
pub use sender::{Sender, SenderConfig, SenderOutput};
pub use transfer::{Output, Transfer};
