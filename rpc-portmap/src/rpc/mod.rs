//! ONC RPC messages and records ([RFC 5531](https://www.rfc-editor.org/rfc/rfc5531)).
//!
//! [`Call::decode`] reads the transaction id first, so that every later error can be answered; that
//! error is an [`RpcError`], and [`put_error`] writes it. [`Reply`] is the caller's view of an
//! answer. [`RecordReader`] splits a byte stream into records. [`Program`], [`Version`] and
//! [`Procedure`] are the numbers that identify a remote procedure.

mod auth;
mod call;
mod error;
mod number;
mod record;
mod reply;

pub use auth::{AuthSys, Credential, Gids, MAX_AUTH_BODY, MAX_GIDS, MAX_MACHINE_NAME};
pub use call::{Call, CallDecodeError};
pub use error::{AuthStat, RpcError};
pub use number::{Procedure, Program, Version};
pub use record::{RecordError, RecordLimits, RecordReader, put_record};
pub use reply::{Reply, ReplyDecodeError, put_error, put_success};

/// The version of RPC itself (§9, `rpcvers`).
pub const RPC_VERSION: u32 = 2;
/// The procedure of every program that takes and returns nothing (§12.1).
pub const NULL_PROCEDURE: Procedure = Procedure::new(0);

/// `CALL` of `msg_type` (§9).
const CALL: u32 = 0;
/// `REPLY` of `msg_type` (§9).
const REPLY: u32 = 1;
