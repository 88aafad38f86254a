//! Third-party programs of the suites: their packages, their paths, and the skip of tests that lack one.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::host;

/// Set by `cargo ci`: a missing program fails the test instead of skipping it.
pub const REQUIRE: &str = "TESTS_REQUIRE_PEERS";

/// A program the suites need, and the Debian package it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The program's name, or the path of a file that is not a program.
    pub program: &'static str,
    /// The package that holds it.
    pub package: &'static str,
    /// The way of installation.
    pub how: How,
}

/// A way to install a package.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum How {
    /// `apt-get install`.
    Installed,
    /// Downloaded and unpacked into the build folder: an installation would start a daemon, change
    /// the boot of the machine, or remove another package.
    Unpacked,
    /// Unpacked by `pip`, from the packages of Python.
    Python,
    /// Like `Unpacked`, but the package only names the one that holds the file.
    UnpackedDependency,
}

const fn installed(program: &'static str, package: &'static str) -> Peer {
    Peer {
        program,
        package,
        how: How::Installed,
    }
}

const fn aside(program: &'static str, package: &'static str) -> Peer {
    Peer {
        program,
        package,
        how: How::Unpacked,
    }
}

/// All that the suites need.
pub const ALL: &[Peer] = &[
    installed("ip", "iproute2"),
    installed("unshare", "util-linux"),
    installed("tcpdump", "tcpdump"),
    installed("strace", "strace"),
    installed("nft", "nftables"),
    installed("iptables", "iptables"),
    installed("tftp", "tftp-hpa"),
    installed("atftp", "atftp"),
    installed("curl", "curl"),
    installed("dnsmasq", "dnsmasq-base"),
    installed("cpio", "cpio"),
    installed("qemu-system-x86_64", "qemu-system-x86"),
    installed("/usr/share/seabios/bios-256k.bin", "seabios"),
    installed(IPXE_ROM, "ipxe-qemu"),
    // The only library besides libc that the unpacked server below needs.
    installed("/usr/share/doc/libwrap0/copyright", "libwrap0"),
    Peer {
        program: "in.tftpd",
        package: "tftpd-hpa",
        how: How::Unpacked,
    },
    Peer {
        program: "atftpd",
        package: "atftpd",
        how: How::Unpacked,
    },
    Peer {
        program: "busybox",
        package: "busybox-static",
        how: How::Unpacked,
    },
    Peer {
        program: KERNEL,
        package: "linux-image-cloud-amd64",
        how: How::UnpackedDependency,
    },
    // Packages of portmappers and RPC services start daemons; the libraries they need do not.
    aside("rpcbind", "rpcbind"),
    aside("rpcinfo", "rpcbind"),
    aside("rpc.rstatd", "rstatd"),
    aside("rpc.rusersd", "rusersd"),
    aside("rpc.statd", "nfs-common"),
    aside("rpc.mountd", "nfs-kernel-server"),
    installed("/etc/netconfig", "libtirpc-common"),
    installed("/usr/share/doc/libtirpc3/copyright", "libtirpc3"),
    installed("/usr/share/doc/libnsl2/copyright", "libnsl2"),
    installed("/etc/rpc", "netbase"),
    installed("tshark", "tshark"),
    installed("python3", "python3"),
    installed("pip3", "python3-pip"),
    Peer {
        program: TFTPY,
        package: "tftpy",
        how: How::Python,
    },
];

/// The boot ROM of QEMU's virtio network card, for BIOS and UEFI.
pub const IPXE_ROM: &str = "/usr/lib/ipxe/qemu/efi-virtio.rom";

/// A TFTP client in Python, a module without a program.
pub const TFTPY: &str = "tftpy/__init__.py";

/// A Linux kernel of any version with drivers for virtual machines.
pub const KERNEL: &str = "vmlinuz";

/// Returns the folder of an unpacked package. Each package has its own, because two may hold different
/// files of one name, as the servers for `inetd` do.
pub fn unpacked(package: &str) -> PathBuf {
    let profile = host::build_folder();
    let all = profile.parent().unwrap_or(&profile).join("peers");
    all.join(package)
}

/// Returns the path of a program, or `None` if it is missing. For a program that is to be unpacked only
/// its folder is searched: an installed one may be another build, such as a busybox with libraries.
pub fn find(program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Some(PathBuf::from(program)).filter(|file| file.exists());
    }
    let peer = ALL.iter().find(|peer| peer.program == program);
    let how = peer.map_or(How::Installed, |peer| peer.how);
    let below = unpacked(peer.map_or("", |peer| peer.package));
    let folders = match how {
        How::UnpackedDependency => {
            return host::files_in(&below.join("boot"))
                .into_iter()
                .find(|file| is_kernel(file));
        }
        How::Python => vec![below],
        How::Unpacked => ["bin", "sbin", "usr/bin", "usr/sbin"]
            .map(|folder| below.join(folder))
            .to_vec(),
        How::Installed => {
            let path = host::variable("PATH").unwrap_or_default();
            std::env::split_paths(&path)
                .chain(["/usr/sbin".into(), "/sbin".into()])
                .collect()
        }
    };
    folders
        .into_iter()
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Returns the path of a program.
///
/// # Panics
/// If it is missing. Call [`available`] first.
#[track_caller]
pub fn path(program: &str) -> PathBuf {
    find(program).unwrap_or_else(|| panic!("{program} is missing; `cargo ci setup` installs it"))
}

/// Returns true if a test that needs root and these programs can run here. If not, prints the reason to
/// standard error, past the capture of the test harness.
///
/// # Panics
/// If it cannot run but must: under `cargo ci`, or with `CI` set.
#[track_caller]
pub fn available(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs
        .iter()
        .filter(|program| find(program).is_none())
        .copied()
        .collect();
    let reason = if !host::is_root() {
        "not root; it makes network namespaces".to_owned()
    } else if !missing.is_empty() {
        format!(
            "not installed: {}; `cargo ci setup` installs what is missing",
            missing.join(", ")
        )
    } else {
        return true;
    };
    let required = [REQUIRE, "CI"]
        .iter()
        .any(|name| host::variable(name).is_some());
    assert!(!required, "this test must run here, but cannot: {reason}");
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    drop(writeln!(std::io::stderr(), "skipped: {test}: {reason}"));
    false
}

fn is_kernel(file: &Path) -> bool {
    file.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_on_the_path_and_an_invented_one_is_not() {
        assert!(find("sh").is_some_and(|path| path.ends_with("sh")));
        assert_eq!(find("no-such-program-anywhere"), None);
        assert_eq!(find("/no/such/file"), None);
    }
}
