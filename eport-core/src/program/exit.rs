//! The exit codes, which have one meaning in every program.

use std::fmt;
use std::io;
use std::process::{ExitCode, Termination};

use crate::bind::BindError;

/// The status that a program ends with: a code of `sysexits.h` where one fits.
///
/// ```
/// use eport_core::program::Exit;
///
/// assert_eq!(Exit::Usage.code(), 64);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
#[repr(u8)]
pub enum Exit {
    /// The work is done. A doctor found no error; it may have printed warnings.
    Success = 0,
    /// The command line is wrong.
    Usage = 64,
    /// A file, a directory or a registration that was named does not exist.
    NotFound = 66,
    /// A server does not answer or cannot be reached, or an address to listen on is taken or not
    /// on this machine.
    Unavailable = 69,
    /// The operating system refused an operation that needs no special permission.
    System = 71,
    /// Reading, writing or a transfer broke off.
    Io = 74,
    /// The other side violated the protocol.
    Protocol = 76,
    /// Permission is denied, by the operating system or by the other side.
    Denied = 77,
    /// The configuration cannot work on this machine: a file has errors, no port is left, or a
    /// check or a doctor found an error.
    Config = 78,
    /// SIGINT or SIGTERM ended the program before its work was done (128 and the number of SIGINT).
    Interrupted = 130,
}

impl Exit {
    /// Every status, by code.
    pub const ALL: [Self; 10] = [
        Self::Success,
        Self::Usage,
        Self::NotFound,
        Self::Unavailable,
        Self::System,
        Self::Io,
        Self::Protocol,
        Self::Denied,
        Self::Config,
        Self::Interrupted,
    ];

    /// Returns the number that the process ends with.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Returns the status for a local file or directory that cannot be used.
    pub fn of_file(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory => Self::NotFound,
            _ => Self::Io,
        }
    }

    /// Returns the status for an address that cannot be listened on.
    pub const fn of_bind(error: &BindError) -> Self {
        match error {
            BindError::InUse { .. }
            | BindError::NotLocal { .. }
            | BindError::FamilyNotSupported { .. } => Self::Unavailable,
            BindError::Denied { .. } => Self::Denied,
            BindError::NoDescriptors { .. } | BindError::Io { .. } => Self::System,
        }
    }
}

/// Prints the code.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code().fmt(f)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_sysexits_and_distinct() {
        let codes = Exit::ALL.map(Exit::code);
        assert_eq!(codes, [0, 64, 66, 69, 71, 74, 76, 77, 78, 130]);
    }

    #[test]
    fn a_file_error_has_the_status_of_its_cause() {
        for (kind, exit) in [
            (io::ErrorKind::NotFound, Exit::NotFound),
            (io::ErrorKind::IsADirectory, Exit::NotFound),
            (io::ErrorKind::PermissionDenied, Exit::Denied),
            (io::ErrorKind::StorageFull, Exit::Io),
        ] {
            assert_eq!(Exit::of_file(&kind.into()), exit, "{kind}");
        }
    }
}
