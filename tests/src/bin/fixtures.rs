//! Writes the files under `fixtures/` that are derived from the captures.

use std::fs;

use tests::{fixtures, host};

fn main() {
    let folder = fixtures::folder();
    let files = fixtures::derived(&folder);
    for stale in ["requests", "exchanges"] {
        // The folder is missing on the first run.
        drop(fs::remove_dir_all(folder.join(stale)));
    }
    for (path, text) in &files {
        host::write(&folder.join(path), text);
    }
    println!("{} files written below {}", files.len(), folder.display());
}
