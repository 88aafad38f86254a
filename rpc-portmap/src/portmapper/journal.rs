//! The state file: registrations that survive a restart.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use super::files::{self, StateError};
use crate::registry::{Change, Host, Registry, Replay};

/// The number of records below which the file is not rewritten.
const FEW: usize = 256;

/// A file to which every change is appended before the request is answered, and which is rewritten
/// once most of its records are outdated.
///
/// A record is written with one call, so a killed process leaves it complete or not at all; a
/// record truncated by a crash of the machine shows by its checksum.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    records: usize,
    /// Set when the last write failed: the next change rewrites the file.
    behind: bool,
}

impl Journal {
    /// Reads the earlier registrations into `registry`, and starts a file with those that are still
    /// valid.
    pub(super) fn open(
        path: PathBuf,
        registry: &mut Registry,
        host: &impl Host,
    ) -> Result<Self, StateError> {
        let replay = Replay::read(&files::read(&path)?);
        registry.restore(replay.registrations, host);
        let (bytes, records) = everything(registry);
        match files::replace(&path, &bytes) {
            Ok(file) => Ok(Self {
                path,
                file,
                records,
                behind: false,
            }),
            Err(source) => Err(StateError::Io { path, source }),
        }
    }

    /// Stores the changes.
    pub(super) fn record(&mut self, changes: &[Change], registry: &Registry) -> io::Result<()> {
        if changes.is_empty() && !self.behind {
            return Ok(());
        }
        let outdated = self.records > FEW + 2 * registry.len();
        let result = if outdated || self.behind {
            self.rewrite(registry)
        } else {
            self.append(changes)
        };
        self.behind = result.is_err();
        result
    }

    fn append(&mut self, changes: &[Change]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for change in changes {
            change.encode(&mut bytes);
        }
        self.file.write_all(&bytes)?;
        self.records += changes.len();
        Ok(())
    }

    fn rewrite(&mut self, registry: &Registry) -> io::Result<()> {
        let (bytes, records) = everything(registry);
        self.file = files::replace(&self.path, &bytes)?;
        self.records = records;
        Ok(())
    }
}

fn everything(registry: &Registry) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    let mut records = 0;
    for registration in registry.iter().filter(|entry| !entry.is_portmapper()) {
        Change::Set(registration.clone()).encode(&mut bytes);
        records += 1;
    }
    (bytes, records)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests use files directly")]
mod tests {
    use std::net::IpAddr;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::Path;

    use super::*;
    use crate::registry::{Authority, Claim, Liveness, RegistryPolicy};
    use crate::rpcbind::{Mapping, Netid, UniversalAddress};

    struct Anywhere;

    impl Host for Anywhere {
        fn liveness(&self, _: Netid, _: &UniversalAddress) -> Liveness {
            Liveness::Unknown
        }

        fn is_local(&self, _: IpAddr) -> bool {
            true
        }
    }

    #[test]
    fn what_was_recorded_is_there_after_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("made").join("state");
        let (mut registry, mut journal) = start(&path);
        for program in 1..=3 {
            set(&mut registry, &mut journal, program);
        }
        unset(&mut registry, &mut journal, 2);
        drop((registry, journal));
        let meta = std::fs::metadata(&path).expect("there");
        assert_eq!(meta.mode() & 0o777, 0o600);
        let (registry, _journal) = start(&path);
        assert_eq!(programs(&registry), [1, 3]);
    }

    #[test]
    fn an_unfinished_record_is_dropped_and_the_rest_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state");
        let (mut registry, mut journal) = start(&path);
        set(&mut registry, &mut journal, 1);
        journal
            .file
            .write_all(&[0, 0, 0, 44, 0, 0])
            .expect("written");
        let (mut registry, mut journal) = start(&path);
        set(&mut registry, &mut journal, 2);
        assert_eq!(programs(&start(&path).0), [1, 2]);
    }

    #[test]
    fn the_file_stays_short_under_many_changes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state");
        let (mut registry, mut journal) = start(&path);
        for _ in 0..2000 {
            set(&mut registry, &mut journal, 7);
            unset(&mut registry, &mut journal, 7);
        }
        set(&mut registry, &mut journal, 8);
        assert!(std::fs::metadata(&path).expect("there").len() < 40_000);
        assert_eq!(programs(&start(&path).0), [8]);
    }

    #[test]
    fn a_file_that_other_users_can_write_is_rejected() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state");
        drop(start(&path));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("own file");
        let refused = files::read(&path).expect_err("others can write it");
        assert!(
            matches!(refused, StateError::WritableByOthers { .. }),
            "{refused}"
        );
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert!(matches!(files::read(&link), Err(StateError::Io { .. })));
    }

    fn start(path: &Path) -> (Registry, Journal) {
        let mut registry = Registry::new(RegistryPolicy::default());
        let journal = Journal::open(path.to_owned(), &mut registry, &Anywhere);
        (registry, journal.expect("usable"))
    }

    fn set(registry: &mut Registry, journal: &mut Journal, program: u32) {
        let mapping = Mapping {
            program: program.into(),
            version: 1.into(),
            protocol: 17,
            port: 4000,
        };
        let claim = Claim::from_mapping(&mapping).expect("a good claim");
        registry
            .set(claim, Authority::Uid(0), &Anywhere)
            .expect("root");
        let changes = registry.take_changes();
        journal.record(&changes, registry).expect("written");
    }

    fn unset(registry: &mut Registry, journal: &mut Journal, program: u32) {
        let outcome = registry.unset(
            program.into(),
            1.into(),
            &Netid::ALL,
            Authority::Uid(0),
            &Anywhere,
        );
        assert_eq!(outcome.expect("root").removed, 1);
        let changes = registry.take_changes();
        journal.record(&changes, registry).expect("written");
    }

    fn programs(registry: &Registry) -> Vec<u32> {
        registry
            .iter()
            .map(|entry| entry.claim.program.get())
            .collect()
    }
}
