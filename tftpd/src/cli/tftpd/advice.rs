//! The flags that the hints of log lines refer to.

/// Returns the flags behind the label of a rejected request or a failed transfer.
pub(super) fn flags(label: &str) -> Option<&'static str> {
    Some(match label {
        "denied-by-acl" => "see --allow and --deny",
        "read-only" => "see --writable",
        "exists" => "see --existing",
        "upload-too-large" => "see --max-upload",
        "no-port" => "see --ports",
        "overload" => "see --max-transfers",
        "too-many" => "see --max-per-client",
        "shutdown" => "see --drain",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Cause, Rejection};

    #[test]
    fn each_label_with_a_flag_is_one_of_the_library() {
        for label in [
            Rejection::DeniedByAcl.label(),
            Rejection::ReadOnly.label(),
            Rejection::Exists.label(),
            Rejection::TooLarge.label(),
            Rejection::NoPort.label(),
            Rejection::Overload.label(),
            Rejection::TooMany.label(),
            Cause::Shutdown.label(),
            Cause::TooLarge { limit: 1 }.label(),
        ] {
            assert!(flags(label).is_some(), "{label}");
        }
        assert_eq!(flags(Rejection::NotFound.label()), None);
    }
}
