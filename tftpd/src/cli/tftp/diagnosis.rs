//! The exit code and the remedy of a failed transfer.

use std::{io, path::Path};

use eport_core::{
    LeaseError,
    program::{Exit, Failure},
};

use crate::{client::TransferError, proto::Blksize};

/// The direction of a transfer, seen from this side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// From the server.
    Here,
    /// To the server.
    There,
}

/// Returns the failure of a transfer.
pub(super) fn failed(error: &TransferError, way: Way) -> Failure {
    let failure = Failure::from_error(exit(error), error);
    match hint(error, way) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Returns the failure to read or write a local file.
pub(super) fn local(what: &str, path: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot {what} {}", path.display());
    Failure::new(Exit::of_file(error), what).because(error)
}

fn exit(error: &TransferError) -> Exit {
    use TransferError as E;
    match error {
        error if error.is_not_found() => Exit::NotFound,
        error if error.is_denied() || error.is_exists() => Exit::Denied,
        error if error.is_unreachable() => Exit::Unavailable,
        E::NoSuchHost(_) | E::NoAnswer { .. } | E::OtherAddress { .. } => Exit::Unavailable,
        E::NoBlock { .. }
        | E::OneWay { .. }
        | E::Silence { .. }
        | E::Gone { .. }
        | E::Unconfirmed { .. }
        | E::Sink(_)
        | E::Source(_) => Exit::Io,
        error if error.is_disk_full() => Exit::Io,
        E::NoPort(LeaseError::Exhausted { .. } | LeaseError::PortUnavailable { .. }) => {
            Exit::Config
        }
        E::NoPort(_) | E::Socket(_) => Exit::System,
        E::Name => Exit::Usage,
        _ => Exit::Protocol,
    }
}

fn hint(error: &TransferError, way: Way) -> Option<&'static str> {
    use TransferError as E;
    Some(match (error, way) {
        (E::NothingListens(_), _) => "start the server, or name its port: tftp://HOST:PORT/PATH",
        (E::Rejected { by: None, .. }, _) => {
            "allow this machine to send UDP to the server (nft list ruleset, iptables -S OUTPUT)"
        }
        (E::Rejected { .. }, _) => {
            "allow UDP to the server's port and to the ports of its transfers"
        }
        (E::NoAnswer { .. }, _) => {
            "a firewall may drop the request, or the answer, which comes from another port than the request went to"
        }
        (E::OtherAddress { .. }, _) => {
            "use the address that answers, or make the server reply from the address that was asked"
        }
        (E::NoBlock { blksize }, _) if *blksize > Blksize::DEFAULT => {
            "packets of this size may not fit a link on the way (MTU): try --blksize 512"
        }
        (E::NoBlock { .. } | E::OneWay { .. } | E::Silence { .. }, _) => {
            "a firewall may drop all packets but the first: open the ports of the server's transfers"
        }
        (E::Unconfirmed { .. }, _) => "fetch the file to compare it, or send it again",
        (error, Way::There) if error.is_exists() => {
            "the server does not replace files: choose another name"
        }
        (error, Way::There) if error.is_not_found() || error.is_denied() => {
            "many servers accept no uploads, or only to files that exist and are writable"
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
            (refused(ErrorCode::FileNotFound, ""), Exit::NotFound),
            (refused(ErrorCode::AccessViolation, ""), Exit::Denied),
            (
                refused(ErrorCode::NotDefined, "Permission denied"),
                Exit::Denied,
            ),
            (refused(ErrorCode::FileExists, ""), Exit::Denied),
            (refused(ErrorCode::DiskFull, ""), Exit::Io),
            (refused(ErrorCode::NotDefined, "busy"), Exit::Protocol),
            (TransferError::NothingListens(server), Exit::Unavailable),
            (TransferError::Silence { transferred: 1 }, Exit::Io),
            (TransferError::Protocol("x"), Exit::Protocol),
            (TransferError::Name, Exit::Usage),
        ] {
            assert_eq!(exit(&error), expected, "{error}");
        }
    }

    #[test]
    fn the_hint_for_lost_large_blocks_differs_from_that_for_small_ones() {
        let vanished = |bytes| {
            let blksize = Blksize::new(bytes).expect("a legal size");
            hint(&TransferError::NoBlock { blksize }, Way::Here).expect("a hint")
        };
        assert!(vanished(1428).contains("--blksize 512"));
        assert!(vanished(512).contains("firewall"));
    }
}
