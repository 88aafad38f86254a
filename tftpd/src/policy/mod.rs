//! May this peer do this, to which name? Decisions as plain values.
//!
//! Nothing here opens a file or a socket or reads a clock: names, addresses and time go in,
//! decisions come out, and each carries its reason.
//!
//! | question | answered by |
//! |---|---|
//! | which file does a request mean? | [`Name`] |
//! | how is a stranger's name shown to a person? | [`Printable`] |

mod path;
mod printable;

pub use path::{MAX_COMPONENT, MAX_NAME, Name, NameError};
pub use printable::{MAX_PRINTED, Printable};
