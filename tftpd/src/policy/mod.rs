//! May this peer do this, to which name? Decisions as plain values.
//!
//! Nothing here opens a file or a socket or reads a clock: names, addresses and time go in,
//! decisions come out, and each carries its reason.
//!
//! | question | answered by |
//! |---|---|
//! | all of it, for one request | [`RequestPolicy`] |
//! | may a client of this network read, or write? | [`Acl`] |
//! | may one more unproven session begin? | [`HalfOpen`] |
//! | may this be answered, may that be logged, so soon again? | [`ClientBuckets`], [`LogLimit`] |
//! | which file does a request mean? | [`Name`] |
//! | does a rule rewrite or refuse it? | [`Rules`] |
//! | has this client a directory of its own? | [`ClientDirectory`] |
//! | which entry does a name mean that is in the wrong case? | [`match_case`] |
//! | how is a stranger's name shown to a person? | [`Printable`] |

mod access;
mod acl;
mod bucket;
mod budget;
mod case;
mod client_directory;
mod map_file;
mod network;
mod path;
mod rules;
#[cfg(test)]
mod testing;

pub use access::{PolicyError, RequestPolicy, Resolved};
pub use acl::{Access, AccessList, Acl};
pub use bucket::{Bucket, ClientBuckets, LogLimit, Rate};
pub use budget::{Admission, HalfOpen, HalfOpenLimits, Ticket};
pub use case::{CaseMatch, match_case};
pub use client_directory::ClientDirectory;
pub use eport_core::program::{MAX_PRINTED, Printable};
pub use map_file::{MapFileError, MapFileLineError};
pub use network::{Network, NetworkError, PrefixLengths};
pub use path::{MAX_COMPONENT, MAX_NAME, Name, NameError};
pub use rules::{
    Decision, Effect, MAX_STEPS, Query, RewriteError, Rule, RuleBuilder, RuleError, Rules, Step,
    TemplateError, Then,
};
