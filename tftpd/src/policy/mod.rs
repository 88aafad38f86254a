//! May this peer do this, to which name? Decisions as plain values.
//!
//! Nothing here opens a file or a socket or reads a clock: names, addresses and time go in,
//! decisions come out, and each carries its reason.
//!
//! | question | answered by |
//! |---|---|
//! | which file does a request mean? | [`Name`] |
//! | has this client a directory of its own? | [`ClientDirectory`] |
//! | does a rule rewrite or refuse it? | [`Rules`] |
//! | how is a stranger's name shown to a person? | [`Printable`] |

mod client_directory;
mod map_file;
mod path;
mod printable;
mod rules;

pub use client_directory::ClientDirectory;
pub use map_file::{MapFileError, MapFileProblem};
pub use path::{MAX_COMPONENT, MAX_NAME, Name, NameError};
pub use printable::{MAX_PRINTED, Printable};
pub use rules::{
    Decision, Effect, MAX_STEPS, Query, Refusal, Rule, RuleBuilder, RuleError, Rules, Step,
    TemplateError, Then,
};
