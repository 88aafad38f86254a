//! The contents of the three packages: what a registry shows and what a user downloads.

use std::path::Path;

use ::tests::host;

use crate::arrows::CRATES;
use crate::text::tracked;

/// Files that a registry's page or a packager looks for in each package, equal to those of the root.
const COPIES: &[&str] = &["LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md"];

/// Keys that each manifest has.
const KEYS: &[&str] = &[
    "description",
    "license",
    "readme",
    "keywords",
    "categories",
    "include",
    "rust-version",
    "[package.metadata.docs.rs]",
];

/// Largest sum of the files of a package, unpacked. The largest has 0.8 MB of sources today; one
/// recording or binary among its tests would exceed the limit.
const LARGEST: usize = 1 << 20;

/// Hosts that stand for an address that is not known yet.
const PLACEHOLDERS: &[&str] = &["example.com", "example.org", "github.com/example", "your-"];

#[test]
fn every_package_holds_its_licences_and_its_changelog() {
    for table in CRATES {
        for name in COPIES {
            let copy = host::workspace().join(table.folder).join(name);
            assert!(copy.is_file(), "{}/{name} is missing", table.folder);
            let same = host::read(&copy) == host::read(&host::workspace().join(name));
            assert!(same, "{}/{name} differs from {name}", table.folder);
        }
    }
}

#[test]
fn every_manifest_has_what_a_registry_shows() {
    for table in CRATES {
        let manifest = host::read_text(&host::workspace().join(table.folder).join("Cargo.toml"));
        let found = missing(&manifest);
        assert!(found.is_empty(), "{}/Cargo.toml: {found:?}", table.folder);
    }
}

#[test]
fn every_package_is_small_and_has_examples() {
    for table in CRATES {
        let folder = host::workspace().join(table.folder);
        let files = tracked(&folder);
        let example = |file: &&std::path::PathBuf| {
            file.starts_with("examples") && file.extension().is_some_and(|e| e == "rs")
        };
        assert!(
            files.iter().any(|file| example(&file)),
            "{} has no example",
            table.folder
        );
        let size: usize = files
            .iter()
            .map(|file| host::read(&folder.join(file)).len())
            .sum();
        assert!(
            size <= LARGEST,
            "{}: {size} bytes; {LARGEST} are allowed",
            table.folder
        );
    }
}

/// Keys that a manifest lacks, and placeholders that it holds.
fn missing(manifest: &str) -> Vec<&'static str> {
    let has = |key: &str| manifest.lines().any(|line| line.starts_with(key));
    let keys = KEYS.iter().filter(|key| !has(key));
    let placeholders = PLACEHOLDERS.iter().filter(|host| manifest.contains(**host));
    keys.chain(placeholders).copied().collect()
}

#[test]
fn a_missing_key_and_a_placeholder_are_found() {
    let manifest = host::read_text(&host::workspace().join(Path::new("tftpd/Cargo.toml")));
    let spoilt = manifest.replace("readme =", "homepage = \"https://example.org\" #");
    assert_eq!(missing(&spoilt), ["readme", "example.org"]);
}
