//! The other servers that `cargo ci setup` installs, for comparison.

use tests::peers;

use crate::lab::Peer;

/// A name, the program in `tests::peers`, and its arguments.
const RIVALS: [(&str, &str, &str); 3] = [
    (
        "tftpd-hpa",
        "in.tftpd",
        "--listen --foreground --address {ip}:{port} --user root --permissive --secure {root}",
    ),
    (
        "atftpd",
        "atftpd",
        "--daemon --no-fork --user root.root --maxthread 20000 --logfile /dev/null --verbose=0 \
         --bind-address {ip} --port {port} {root}",
    ),
    (
        "dnsmasq",
        "dnsmasq",
        "--keep-in-foreground --conf-file=/dev/null --port=0 --enable-tftp --tftp-root={root} \
         --tftp-max=20000 --quiet-tftp --user=root --group=root --pid-file= \
         --log-facility=/dev/null",
    ),
];

/// Returns the installed ones; prints the source of the others.
pub(crate) fn installed() -> Vec<Peer> {
    let installed = |(name, program, arguments): &(&str, &str, &str)| {
        let Some(path) = peers::find(program) else {
            eprintln!("without {name}: `cargo ci setup` installs it");
            return None;
        };
        Some(Peer {
            name: (*name).to_owned(),
            command: format!("{} {arguments}", path.display()),
        })
    };
    RIVALS.iter().filter_map(installed).collect()
}
