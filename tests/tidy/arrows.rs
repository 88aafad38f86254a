//! The layers of the crates, as tables: for each module, the modules it may name.

use std::collections::BTreeSet;
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
        ("policy", &["limit", "strategy", "quarantine"]),
        (
            "pool",
            &[
                "address",
                "limit",
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
                "address", "limit", "ports", "plan", "strategy", "policy", "pool", "lease", "bind",
                "system",
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

/// TFTP. `proto` and `policy` are pure; only modules with sockets name `eport_core`; server and client
/// do not name each other.
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
        ("rpc", &["hex", "xdr"]),
        ("rpcbind", &["xdr", "rpc", "xdr_struct"]),
        ("registry", &["xdr", "rpc", "rpcbind", "xdr_struct"]),
        ("transport", &["rpcbind", "eport_core"]),
        (
            "client",
            &["xdr", "rpc", "rpcbind", "transport", "eport_core"],
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
                "xdr",
                "rpc",
                "rpcbind",
                "registry",
                "transport",
                "client",
                "server",
                "eport_core",
                "rpc_program",
            ],
        ),
        ("cli", ALL),
    ],
};

/// All crates with arrows.
pub(crate) const CRATES: &[Table] = &[EPORT_CORE, TFTPD, RPC_PORTMAP];

/// Describes violations in a crate whose sources are below `folder`: arrows against the table, modules
/// without a row, and rows without a module. Each is a line with the place and the rule.
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

/// Describes the arrows of the table that no file of the crate uses, tests of the files included.
pub(crate) fn unused(table: &Table, folder: &Path) -> Vec<String> {
    let source = folder.join("src");
    let mut used = BTreeSet::new();
    for file in rust_files(&source) {
        let relative = file
            .strip_prefix(&source)
            .expect("it lies below the folder");
        let module = module_of(relative);
        if let Some(top) = module.first().filter(|_| !relative.starts_with("bin")) {
            let named = named(&tokens(&host::read_text(&file)), &module, SISTERS);
            let targets = named
                .into_iter()
                .filter_map(|arrow| arrow.segments.into_iter().next());
            used.extend(targets.map(|target| (top.clone(), target)));
        }
    }
    let rows = table.modules.iter().filter(|(_, allowed)| *allowed != ALL);
    let arrows = rows.flat_map(|(from, allowed)| allowed.iter().map(move |to| (*from, *to)));
    arrows
        .filter(|(from, to)| !used.contains(&((*from).to_owned(), (*to).to_owned())))
        .map(|(from, to)| {
            let folder = table.folder;
            format!("{folder}: {from} may name {to} and does not; remove it from its row in tests/tidy/arrows.rs")
        })
        .collect()
}

/// Describes the arrows of one source text that the table does not allow.
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
