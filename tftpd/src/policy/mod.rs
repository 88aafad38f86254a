//! Checks of a request before a file is opened: access lists, rewriting rules, file names.
//!
//! The module performs no I/O and reads no clock: names, addresses and time are arguments,
//! decisions are return values, and each carries its reason.
//!
//! ```
//! use tftpd::{policy::{AccessList, Acl, RequestPolicy, Rule, Rules}, proto::{Packet, Request}};
//!
//! let acl = Acl::default().with_read(AccessList::new(["10.0.0.0/8".parse()?], []));
//! let rules = Rules::new([Rule::matching("^default$").rewrite("hosts/${client}").build()?]);
//! let policy = RequestPolicy::default().with_acl(acl).with_rules(rules);
//!
//! let Packet::Request(request) = Packet::decode(b"\0\x01/default\0octet\0")? else { panic!("an RRQ") };
//! let resolved = policy.resolve(&request, [10, 0, 3, 7].into())?;
//! assert_eq!(resolved.name.as_bytes(), b"hosts/10.0.3.7");
//! let refused = policy.resolve(&request, [192, 0, 2, 1].into()).expect_err("not in 10.0.0.0/8");
//! assert_eq!(refused.to_string(), "denied: no network allows it");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | decision | item |
//! |---|---|
//! | all checks of one request | [`RequestPolicy`] |
//! | access of a client's network, for reading and for writing | [`Acl`] |
//! | the file name that a request means | [`Name`] |
//! | rules that rewrite or deny names | [`Rules`], [`Rule`] |
//! | a directory of its own for each client | [`ClientDirectory`] |
//! | the rules' decision step by step | [`explain`] |
//! | errors in a map file of tftp-hpa | [`map_file`] |
//!
//! Limits that are not specific to TFTP, for half-open transfers and for rates, are those of
//! [`eport_core::limit`].

mod access;
mod acl;
#[cfg(feature = "server")]
mod case;
mod client_directory;
pub mod explain;
pub mod map_file;
mod path;
mod rules;

pub use access::{PolicyError, RequestPolicy, Resolved};
pub use acl::{Access, AccessList, Acl, Prefix, PrefixError};
pub use client_directory::ClientDirectory;
pub use path::{Name, NameError};
pub use rules::{Rule, RuleBuilder, RuleError, Rules, TemplateError};

#[cfg(feature = "server")]
pub(crate) use case::match_case;
pub(crate) use eport_core::program::Printable;
