//! What a failed transfer means for whoever started it: an exit code and a remedy.

use std::{io, path::Path};

use super::exit::{self, Failure};
use crate::{client::TransferError, proto::Blksize};

/// Which way a file was to go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    Here,
    There,
}

/// The failure that `error` is.
pub(super) fn failed(error: &TransferError, way: Way) -> Failure {
    let failure = Failure::from_error(code(error), error);
    match hint(error, way) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The failure to read or write a local file.
pub(super) fn local(what: &str, path: &Path, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => exit::NOPERM,
        io::ErrorKind::NotFound | io::ErrorKind::IsADirectory => exit::NOINPUT,
        _ => exit::IOERR,
    };
    Failure::new(code, format!("cannot {what} {}", path.display())).because(error)
}

fn code(error: &TransferError) -> u8 {
    use TransferError as E;
    match error {
        error if error.is_not_found() => exit::NOINPUT,
        error if error.is_denied() || error.is_exists() => exit::NOPERM,
        error if error.is_unreachable() => exit::UNAVAILABLE,
        E::NoSuchHost(_) | E::NoAnswer { .. } | E::OtherAddress { .. } => exit::UNAVAILABLE,
        E::NoBlock { .. }
        | E::OneWay { .. }
        | E::Silence { .. }
        | E::Gone { .. }
        | E::Unconfirmed { .. }
        | E::Sink(_)
        | E::Source(_) => exit::IOERR,
        error if error.is_disk_full() => exit::IOERR,
        E::NoPort(_) | E::Socket(_) => exit::OSERR,
        E::Name => exit::USAGE,
        _ => exit::PROTOCOL,
    }
}

fn hint(error: &TransferError, way: Way) -> Option<&'static str> {
    use TransferError as E;
    Some(match (error, way) {
        (E::NothingListens(_), _) => "start the server, or name its port: tftp://HOST:PORT/PATH",
        (E::Rejected { by: None, .. }, _) => "let this machine send UDP to the server",
        (E::Rejected { .. }, _) => {
            "let UDP through to the server's port, and to those of its transfers"
        }
        (E::NoAnswer { .. }, _) => {
            "a firewall may drop the request, or the answer, which comes from another port than the one asked"
        }
        (E::OtherAddress { .. }, _) => {
            "ask the address that answers, or let the server reply from the one asked"
        }
        (E::NoBlock { blksize }, _) if *blksize > Blksize::DEFAULT => {
            "packets of this size may not fit some link on the way (MTU): try --blksize 512"
        }
        (E::NoBlock { .. } | E::OneWay { .. } | E::Silence { .. }, _) => {
            "a firewall may let the first packet through and not the next ones: open the ports of the server's transfers"
        }
        (E::Unconfirmed { .. }, _) => "fetch the file to see, or send it again",
        (error, Way::There) if error.is_exists() => {
            "the server keeps what it has: choose another name"
        }
        (error, Way::There) if error.is_not_found() || error.is_denied() => {
            "many servers take no files, or only those that are there already and writable"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::ErrorCode;

    fn refused(code: ErrorCode, text: &str) -> TransferError {
        TransferError::Refused {
            code,
            text: text.to_owned(),
        }
    }

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let server = "192.0.2.1:69".parse().expect("an address");
        for (error, expected) in [
            (refused(ErrorCode::FileNotFound, ""), exit::NOINPUT),
            (refused(ErrorCode::AccessViolation, ""), exit::NOPERM),
            (
                refused(ErrorCode::NotDefined, "Permission denied"),
                exit::NOPERM,
            ),
            (refused(ErrorCode::FileExists, ""), exit::NOPERM),
            (refused(ErrorCode::DiskFull, ""), exit::IOERR),
            (refused(ErrorCode::NotDefined, "busy"), exit::PROTOCOL),
            (TransferError::NothingListens(server), exit::UNAVAILABLE),
            (TransferError::Silence { transferred: 1 }, exit::IOERR),
            (TransferError::Protocol("x"), exit::PROTOCOL),
            (TransferError::Name, exit::USAGE),
        ] {
            assert_eq!(code(&error), expected, "{error}");
        }
    }

    #[test]
    fn large_blocks_that_vanish_are_told_from_small_ones() {
        let vanished = |bytes| {
            let blksize = Blksize::new(bytes).expect("a legal size");
            hint(&TransferError::NoBlock { blksize }, Way::Here).expect("a hint")
        };
        assert!(vanished(1428).contains("--blksize 512"));
        assert!(vanished(512).contains("firewall"));
    }
}
