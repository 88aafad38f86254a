//! ONC RPC messages and records ([RFC 5531](https://www.rfc-editor.org/rfc/rfc5531)).
//!
//! [`Call::decode`] reads the transaction id first, so that every later error can be answered; that
//! error is an [`RpcError`], and [`reply::error`] writes it. [`Reply`] is the caller's view of an
//! answer. [`RecordReader`] splits a byte stream into records. [`Program`], [`Version`] and
//! [`Procedure`] are the numbers that identify a remote procedure.

pub mod auth;
pub mod call;
#[cfg(feature = "net")]
pub mod codec;
pub mod error;
pub mod number;
pub mod record;
pub mod reply;

pub use auth::{AuthSys, Credential, MAX_AUTH_BODY};
pub use call::{Call, CallDecodeError};
pub use error::{AuthStat, RpcError};
pub use number::{Procedure, Program, Version};
pub use record::{RecordError, RecordLimits, RecordReader};
pub use reply::{Reply, ReplyDecodeError};

/// The version of RPC itself (§9, `rpcvers`).
pub const RPC_VERSION: u32 = 2;
/// The procedure of every program that takes and returns nothing (§12.1).
pub const NULL_PROCEDURE: Procedure = Procedure::new(0);

/// `CALL` of `msg_type` (§9).
const CALL: u32 = 0;
/// `REPLY` of `msg_type` (§9).
const REPLY: u32 = 1;
