//! Which module may name which: the arrows of the architecture, as tables.

use std::fs;
use std::path::{Path, PathBuf};

use tests::host;

use crate::paths::named;
use crate::tokens::tokens;

/// A crate's folder, and its modules with the modules that each may name besides itself.
pub(crate) struct Table {
    pub(crate) folder: &'static str,
    pub(crate) modules: &'static [(&'static str, &'static [&'static str])],
}

/// Stands for every module, and for what the crate's root makes public.
const ALL: &[&str] = &["*"];

/// The crates that may depend on one another; they are named in the tables like modules.
const SISTERS: &[&str] = &["eport_core", "rpc_portmap", "tftpd"];

/// Ports. `address` to `pool` are pure; `bind` makes sockets, `system` reads the host, `allocator` joins them.
pub(crate) const EPORT_CORE: Table = Table {
    folder: "eport-core",
    modules: &[
        ("address", &[]),
        ("strategy", &[]),
        ("quarantine", &[]),
        ("bind", &["address"]),
        ("datagram", &["bind"]),
        ("limit", &[]),
        ("ports", &["address"]),
        ("plan", &["ports"]),
        ("policy", &["strategy", "quarantine"]),
        (
            "pool",
            &[
                "address",
                "ports",
                "plan",
                "policy",
                "strategy",
                "quarantine",
            ],
        ),
        ("system", &["address", "ports"]),
        ("lease", &["address", "strategy", "policy", "pool"]),
        ("doctor", &["address", "ports", "plan", "system"]),
        (
            "allocator",
            &[
                "address", "ports", "plan", "strategy", "policy", "pool", "lease", "bind", "system",
            ],
        ),
        (
            "serialize",
            &["address", "ports", "plan", "system", "doctor"],
        ),
        (
            "program",
            &["plan", "bind", "system", "allocator", "doctor"],
        ),
        ("cli", ALL),
    ],
};

/// TFTP. `proto` and `policy` are pure; only what holds sockets knows of `eport_core`; server and
/// client do not know each other.
pub(crate) const TFTPD: Table = Table {
    folder: "tftpd",
    modules: &[
        ("proto", &[]),
        ("policy", &["proto", "eport_core"]),
        ("backend", &["proto", "policy"]),
        ("net", &["proto", "eport_core"]),
        (
            "engine",
            &["proto", "policy", "backend", "net", "eport_core"],
        ),
        (
            "server",
            &["proto", "policy", "backend", "net", "engine", "eport_core"],
        ),
        ("testing", &["proto", "net", "server", "eport_core"]),
        ("client", &["proto", "net", "eport_core"]),
        ("cli", ALL),
    ],
};

/// ONC RPC. `xdr` to `registry` are pure; macros stand at the root and count as names of their own.
pub(crate) const RPC_PORTMAP: Table = Table {
    folder: "rpc-portmap",
    modules: &[
        ("hex", &[]),
        (
            "xdr",
            &["hex", "xdr_enum", "xdr_struct", "xdr_union", "__xdr_arm"],
        ),
        (
            "rpc",
            &["hex", "xdr", "xdr_enum", "xdr_struct", "xdr_union"],
        ),
        (
            "rpcbind",
            &["hex", "xdr", "rpc", "xdr_enum", "xdr_struct", "xdr_union"],
        ),
        (
            "registry",
            &[
                "xdr",
                "rpc",
                "rpcbind",
                "xdr_enum",
                "xdr_struct",
                "xdr_union",
            ],
        ),
        ("transport", &["xdr", "rpc", "rpcbind", "eport_core"]),
        (
            "client",
            &[
                "xdr",
                "rpc",
                "rpcbind",
                "transport",
                "eport_core",
                "rpc_program",
            ],
        ),
        (
            "server",
            &[
                "hex",
                "xdr",
                "rpc",
                "rpcbind",
                "registry",
                "transport",
                "client",
                "eport_core",
                "xdr_enum",
                "xdr_struct",
                "xdr_union",
                "rpc_program",
                "__rpc_client",
                "__rpc_first",
                "__rpc_or_unit",
                "__rpc_service",
            ],
        ),
        (
            "portmapper",
            &[
                "hex",
                "xdr",
                "rpc",
                "rpcbind",
                "registry",
                "transport",
                "client",
                "server",
                "eport_core",
                "xdr_enum",
                "xdr_struct",
                "xdr_union",
                "rpc_program",
            ],
        ),
        ("cli", ALL),
    ],
};

/// All crates with arrows.
pub(crate) const CRATES: &[Table] = &[EPORT_CORE, TFTPD, RPC_PORTMAP];

/// What is wrong in a crate that lies in `folder`: arrows against the table, modules that it lacks,
/// and rows of it that have lost their module. Each is a line with the place and the rule.
pub(crate) fn violations(table: &Table, folder: &Path) -> Vec<String> {
    let source = folder.join("src");
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for file in rust_files(&source) {
        let relative = file
            .strip_prefix(&source)
            .expect("it lies below the folder");
        // Binaries are crates of their own; the root gathers what the modules offer.
        let module = module_of(relative);
        let Some(top) = module.first().filter(|_| !relative.starts_with("bin")) else {
            continue;
        };
        seen.push(top.clone());
        let place = format!("{}/src/{}", table.folder, relative.display());
        match table.modules.iter().find(|(name, _)| name == top) {
            Some((_, allowed)) => found.extend(wrong_arrows(
                allowed,
                &module,
                &host::read_text(&file),
                &place,
            )),
            None => found.push(format!(
                "{place}: module {top} is not in the table of tests/tidy/arrows.rs"
            )),
        }
    }
    let lost = table
        .modules
        .iter()
        .filter(|(name, _)| !seen.iter().any(|top| top == name));
    found.extend(lost.map(|(name, _)| {
        format!(
            "{}: the table names {name}, which does not exist",
            table.folder
        )
    }));
    found
}

/// The arrows in one source text that go where they may not.
pub(crate) fn wrong_arrows(
    allowed: &[&str],
    module: &[String],
    source: &str,
    place: &str,
) -> Vec<String> {
    let own = module.first().map_or("", String::as_str);
    let is_allowed = |target: &str| target == own || allowed == ALL || allowed.contains(&target);
    let arrows = named(&tokens(source), module, SISTERS);
    let wrong = arrows
        .iter()
        .filter(|arrow| !is_allowed(arrow.segments.first().map_or("", String::as_str)));
    let rule = if allowed.is_empty() {
        "nothing but itself".to_owned()
    } else {
        allowed.join(", ")
    };
    wrong
        .map(|arrow| {
            format!(
                "{place}:{}: {own} names {}; it may name {rule}",
                arrow.line,
                arrow.segments.join("::")
            )
        })
        .collect()
}

/// The Rust files below a folder, sorted.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = host::files_in(folder);
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    files.extend(folders.iter().flat_map(|folder| rust_files(folder)));
    files
}

/// `proto/packet.rs` and `proto/packet/mod.rs` are both `proto::packet`.
pub(crate) fn module_of(relative: &Path) -> Vec<String> {
    let names = relative.with_extension("");
    let names = names.iter().map(|name| name.to_string_lossy().into_owned());
    names
        .filter(|name| !matches!(name.as_str(), "mod" | "lib" | "main"))
        .collect()
}
