//! Effects on the world (clock, sockets, files, randomness): each is reached through one function of a
//! crate. The lint `clippy::disallowed_methods` finds every other call, against the list in
//! `.clippy.toml`; this test counts the functions that are excepted from the lint.

use std::collections::BTreeSet;

use ::tests::host;

use crate::arrows::{CRATES, rust_files};
use crate::text::test_modules;
use crate::tokens::{Kind, Token, literals, tokens, without_tests};

/// The functions that carry `#[expect(clippy::disallowed_methods, …)]`: file, function, effect. An
/// effect has one function in a crate.
#[rustfmt::skip]
const DOORS: &[(&str, &str, &str)] = &[
    ("eport-core/src/bind/mod.rs", "bound", "bound socket"),
    ("eport-core/src/cli/mod.rs", "is_directory", "kind of the path --root"),
    ("eport-core/src/program/activation.rs", "take", "passed socket"),
    ("eport-core/src/program/environment.rs", "variable", "environment"),
    ("eport-core/src/system/clock.rs", "now", "clock"),
    ("eport-core/src/system/entropy.rs", "seed", "randomness"),
    ("eport-core/src/system/host.rs", "names", "directory"),
    ("eport-core/src/system/host.rs", "read_link", "symbolic link"),
    ("eport-core/src/system/host.rs", "read", "file of the host"),
    ("eport-core/src/system/netlink.rs", "open", "netlink socket"),
    ("tftpd/src/backend/fs.rs", "open_root", "served directory"),
    ("tftpd/src/backend/fs.rs", "openat2", "served file"),
    ("tftpd/src/backend/fs/upload.rs", "rename", "uploaded file: rename"),
    ("tftpd/src/backend/fs/upload.rs", "link", "uploaded file: link"),
    ("tftpd/src/backend/fs/upload.rs", "drop", "uploaded file: removal"),
    ("tftpd/src/backend/fs/upload.rs", "process_id", "process id"),
    ("tftpd/src/cli/tftp/files.rs", "open", "local file"),
    ("tftpd/src/cli/tftp/files.rs", "follow", "local symbolic link"),
    ("tftpd/src/cli/tftp/files.rs", "metadata", "metadata of a local file"),
    ("tftpd/src/cli/tftp/files.rs", "temporary", "temporary file"),
    ("tftpd/src/cli/tftp/mod.rs", "arguments", "arguments"),
    ("tftpd/src/cli/tftpd/args.rs", "read", "configuration file"),
    ("tftpd/src/client/connect.rs", "look_up", "name look-up"),
    ("tftpd/src/net/clock.rs", "now", "clock"),
    ("tftpd/src/net/entropy.rs", "random_state", "randomness"),
    ("rpc-portmap/src/client/mod.rs", "connect_tcp", "TCP connection"),
    ("rpc-portmap/src/client/mod.rs", "connect_unix", "unix connection, asynchronous"),
    ("rpc-portmap/src/portmapper/files.rs", "text", "file of the host"),
    ("rpc-portmap/src/portmapper/files.rs", "create_directory", "directory of the state"),
    ("rpc-portmap/src/portmapper/files.rs", "open", "file of the state"),
    ("rpc-portmap/src/portmapper/files.rs", "rename", "rename of the state"),
    ("rpc-portmap/src/cli/target.rs", "look_up", "name look-up"),
    ("rpc-portmap/src/transport/bind.rs", "connect_unix", "unix connection"),
    ("rpc-portmap/src/transport/bind.rs", "interfaces", "interfaces"),
    ("rpc-portmap/src/transport/entropy.rs", "random_state", "randomness"),
    ("rpc-portmap/src/transport/bind.rs", "bind_unix", "unix listener"),
    ("rpc-portmap/src/transport/bind.rs", "permit_all", "permissions"),
    ("rpc-portmap/src/transport/bind.rs", "metadata", "metadata"),
    ("rpc-portmap/src/transport/bind.rs", "remove_file", "removal of a file"),
    ("rpc-portmap/src/transport/clock.rs", "now", "clock"),
    ("rpc-portmap/src/transport/clock.rs", "seconds_since_1970", "calendar"),
];

/// Calls that the list in `.clippy.toml` must not lose: some of every effect.
const LISTED: &[&str] = &[
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::hash::RandomState::new",
    "tokio::net::lookup_host",
    "std::net::UdpSocket::bind",
    "std::net::TcpStream::connect",
    "std::os::unix::net::UnixListener::bind_addr",
    "socket2::Socket::bind",
    "tokio::net::UnixListener::bind",
    "std::fs::metadata",
    "std::fs::set_permissions",
    "std::fs::read_dir",
    "std::fs::read_link",
    "std::fs::DirBuilder::create",
    "std::fs::OpenOptions::open",
    "std::path::Path::exists",
    "tokio::fs::metadata",
    "nix::fcntl::openat2",
    "nix::fcntl::renameat2",
    "nix::unistd::linkat",
    "nix::unistd::unlinkat",
    "nix::sys::stat::fstatat",
    "nix::sys::stat::mkdirat",
    "getrandom::fill",
    "std::process::id",
    "std::env::var_os",
    "std::thread::sleep",
];

#[test]
fn every_effect_is_reached_through_one_function() {
    let mut found = Vec::new();
    for table in CRATES {
        let source = host::workspace().join(table.folder).join("src");
        let tests = test_modules(&source);
        for file in rust_files(&source) {
            if !tests
                .iter()
                .any(|test| file.starts_with(test) || file == test.with_extension("rs"))
            {
                let place = file.strip_prefix(host::workspace()).expect("it is below");
                found.extend(doors(&place.display().to_string(), &host::read_text(&file)));
            }
        }
    }
    let listed: Vec<_> = DOORS
        .iter()
        .map(|(file, name, _)| format!("{file}: {name}"))
        .collect();
    let new: Vec<_> = found.iter().filter(|door| !listed.contains(door)).collect();
    let lost: Vec<_> = listed.iter().filter(|door| !found.contains(door)).collect();
    assert!(
        new.is_empty(),
        "not in the table of tests/tidy/doors.rs: {new:#?}"
    );
    assert!(lost.is_empty(), "in the table, but gone: {lost:#?}");
}

#[test]
fn no_crate_has_two_functions_for_one_effect() {
    let twice = repeated(DOORS);
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn the_list_of_effects_is_complete() {
    let list = host::read_text(&host::workspace().join(".clippy.toml"));
    let paths = literals(&list);
    let lacks = LISTED
        .iter()
        .filter(|path| !paths.iter().any(|listed| listed.text == **path));
    let lacks: Vec<_> = lacks.collect();
    assert!(lacks.is_empty(), ".clippy.toml lacks {lacks:?}");
}

/// The functions of a source, outside of its tests, that are excepted from the lint. An exception that
/// belongs to no function is named by its line.
fn doors(place: &str, source: &str) -> Vec<String> {
    let tokens = without_tests(&tokens(source));
    let mut found = Vec::new();
    for (at, window) in tokens.windows(4).enumerate() {
        let [keyword, _, clippy, separator] = window else {
            continue;
        };
        let lint = tokens
            .get(at + 4)
            .is_some_and(|lint| lint.is("disallowed_methods"));
        let excepted = keyword.is("expect") || keyword.is("allow");
        if excepted && clippy.is("clippy") && separator.kind == Kind::PathSeparator && lint {
            let name = tokens
                .get(at..)
                .and_then(function_after)
                .map_or_else(|| format!("line {}", keyword.line), str::to_owned);
            found.push(format!("{place}: {name}"));
        }
    }
    found
}

/// The function that the attributes here belong to.
fn function_after(tokens: &[Token]) -> Option<&str> {
    let mut depth = 0_usize;
    let mut rest = tokens.iter();
    while let Some(token) = rest.next() {
        match token.kind {
            Kind::Sign('(' | '[') => depth += 1,
            Kind::Sign(')' | ']') => depth = depth.saturating_sub(1),
            Kind::Sign('{' | ';') if depth == 0 => return None,
            Kind::Word(_) if depth == 0 && token.is("fn") => return rest.next()?.word(),
            _ => {}
        }
    }
    None
}

/// The effects that two functions of one crate have.
fn repeated(doors: &[(&str, &str, &str)]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let of_crate =
        |file: &str, effect| format!("{}: {effect}", file.split('/').next().unwrap_or_default());
    let effects = doors.iter().map(|(file, _, effect)| of_crate(file, effect));
    effects
        .filter(|effect| !seen.insert(effect.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excepted_function_is_found_and_tests_are_not() {
        let source = "#[expect(clippy::disallowed_methods, reason = \"r\")]\n#[must_use]\npub(super) fn a() {}\n\
            #[cfg(test)]\n#[expect(clippy::disallowed_methods)]\nmod tests {}\n\
            fn b() { #[expect(clippy::disallowed_methods)] let now = now(); }\n\
            #[expect(clippy::too_many_lines)] fn c() {}\n";
        assert_eq!(doors("a.rs", source), ["a.rs: a", "a.rs: line 7"]);
    }

    #[test]
    fn a_second_function_for_an_effect_is_found() {
        let doors = [
            ("a/src/b.rs", "f", "clock"),
            ("c/src/d.rs", "f", "clock"),
            ("a/src/e.rs", "g", "clock"),
        ];
        assert_eq!(repeated(&doors), ["a: clock"]);
    }
}
