//! TFTP as plain values: packets, options and the two state machines of a transfer.
//!
//! The module performs no I/O: it opens no socket or file, reads no clock and draws no random
//! number. Bytes and time are arguments, decisions are return values. Server, client and
//! simulation drive the same code: feed an [`Input`] to `handle`, then call `poll` until it
//! returns `Wait` or `Done`.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use tftpd::proto::{Ack, GrantLimits, Input, Packet, Sender, SenderConfig, SenderOutput, grant};
//!
//! // A server answers an RRQ for a file of 600 bytes.
//! let request = b"\0\x01boot.img\0octet\0blksize\x001468\0";
//! let Packet::Request(request) = Packet::decode(request)? else { panic!("an RRQ") };
//! let (terms, oack) = grant(&request.options, &GrantLimits::default(), Some(600));
//! let now = Instant::now();
//! let config = SenderConfig::new(600).with_terms(terms);
//! let mut sender = Sender::new(config, oack, now);
//! assert_eq!(sender.poll(), SenderOutput::Oack(oack.expect("blksize is granted")));
//!
//! let mut ack = Vec::new();
//! Ack { block: 0 }.encode(&mut ack);
//! sender.handle(Input::Datagram(&ack), now + Duration::from_millis(3));
//! assert_eq!(sender.poll(), SenderOutput::Blocks { first: 1, count: 1 });
//! # Ok::<(), tftpd::proto::DecodeError>(())
//! ```
//!
//! Units: block numbers count from 1 and have 64 bits (16 on the wire, see [`Rollover`]), block
//! sizes are bytes of payload, windows are blocks, `timeout` is seconds, `utimeout` microseconds,
//! `tsize` bytes.
//!
//! | document | subject | items |
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
#[cfg(test)]
mod trace;
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
