//! A machine boots over the network: QEMU with a BIOS and the iPXE ROM of its network card, dnsmasq
//! as DHCP server, and our server for the files.
//!
//! `TESTS_SERVER=hpa` runs the same against tftpd-hpa.

mod machine;
mod system;

use std::time::Duration;

use tests::host;
use tests::peers;

use machine::Lab;

/// Limits for QEMU without hardware support, which needs a few seconds, on a busy machine.
const SCRIPT: Duration = Duration::from_secs(60);
const KERNEL: Duration = Duration::from_secs(180);

#[test]
fn ipxe_runs_a_script_from_the_server() {
    if !machine::available(&[]) {
        return;
    }
    let lab = Lab::new();
    let marker = marker();
    lab.serve("boot.ipxe", format!("#!ipxe\necho {marker}\n"));
    let machine = lab.start();
    lab.wait_for(&machine, &marker, SCRIPT);
}

#[test]
fn ipxe_loads_a_linux_kernel_and_its_first_file_system_from_the_server() {
    if !machine::available(&[peers::KERNEL, "busybox", "cpio"]) {
        return;
    }
    let lab = Lab::new();
    let marker = marker();
    lab.serve(
        "boot.ipxe",
        "#!ipxe\nkernel vmlinuz console=ttyS0 panic=-1\ninitrd initrd.img\nboot\n",
    );
    lab.serve("vmlinuz", host::read(&peers::path(peers::KERNEL)));
    lab.serve("initrd.img", system::archive(&marker));
    let machine = lab.start();
    lab.wait_for(&machine, &marker, KERNEL);
}

/// A word that reaches the console only if its file was loaded over the network in this run.
fn marker() -> String {
    let since = std::time::UNIX_EPOCH
        .elapsed()
        .expect("the clock is later than 1970");
    format!("booted-{}", since.as_micros())
}
