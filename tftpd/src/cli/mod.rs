//! The command lines of `tftpd` and `tftp`. Results go to standard output, everything else to
//! standard error.

mod tftp;
mod tftpd;

pub use tftp::main as tftp;
pub use tftpd::main as tftpd;
