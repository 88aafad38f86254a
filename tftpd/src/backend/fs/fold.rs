//! Look-up of a name without regard to case.

use std::os::fd::OwnedFd;

use nix::{dir::Dir, fcntl::OFlag};

use super::{how, openat2};
use crate::policy::{Name, match_case};

/// Returns the spelling of `name` below `root`, if exactly one entry matches. Reads each directory
/// of the path.
pub(super) fn spelling(root: &OwnedFd, name: &Name) -> Option<Vec<u8>> {
    let mut path = Vec::new();
    for component in name.components() {
        let parent = if path.is_empty() {
            b".".as_slice()
        } else {
            &path
        };
        let entry = entry(root, parent, component)?;
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&entry);
    }
    Some(path)
}

fn entry(root: &OwnedFd, parent: &[u8], component: &[u8]) -> Option<Vec<u8>> {
    let directory = openat2(
        root,
        parent,
        how(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC),
    )
    .ok()?;
    let entries = Dir::from_fd(directory)
        .ok()?
        .into_iter()
        .filter_map(Result::ok);
    match_case(
        component,
        entries.map(|entry| entry.file_name().to_bytes().to_vec()),
    )
    .entry()
}
