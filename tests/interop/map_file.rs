//! A map file of tftp-hpa maps to the same files with our server as with `in.tftpd` 5.2.

use std::net::SocketAddr;

use tests::client::Client;
use tests::lab::{Lab, ONE_OF_EACH_FAMILY};
use tests::program::{Program, Task};
use tests::server::Server;
use tests::{host, peers};

use crate::lab::PORTS;

/// Typical rules of administrators, and every other feature of 5.2.
const MAP: &str = r"
# Windows: drives, separators, and names in any case
ri   ^[a-z]:
rg   \\                     /
rg   //                     /
r    ^/?tftpboot/           /            # as if it were the root
a    ^/?private/
e    ^/?pxelinux\.cfg/
ri   ^/?boot/(.*)$          windows/\L\1
ri   ^/?upper/([a-z]+)\.txt$  \U\1\E.txt
r    ^(cisco|juniper)-([0-9]+)\.cfg$  routers/\1/\2
r    ^mac/([0-9a-f]{2})[-:]([0-9a-f]{2})$  hosts/\2\1
rG   ^latest$               images/v12
rP   ^latest$               images/v13
r4   ^family$               family.v4
r6   ^family$               family.v6
r    ^who$                  clients/\i
r    ^hex$                  clients/\x
re   ^old/(.*)$             new/\1
r    ^new/                  never/
r    ^chain1$               chain2
r    ^chain2$               chain3
r    ^loop(.*)x$            loop\1y
rs   ^again$                boot/MENU
r    ^blank\ name\#1$       blank\ \#\ name
r    \.img\.gz$             .img
e~   \.rev$
r    ^(.*)\.rev$            reverse/\1
";

/// Names requested over IPv4, and the file each maps to; `None` for a refusal.
const READ: [(&str, Option<&str>); 33] = [
    ("plain", Some("plain")),
    ("/plain", Some("plain")),
    (r"C:\plain", Some("plain")),
    (r"c:plain", Some("plain")),
    (r"\Boot\BCD", Some("windows/bcd")),
    (r"Boot\Fonts\WGL4.ttf", Some("windows/fonts/wgl4.ttf")),
    (r"D:\\boot\\\\BCD", Some("windows/bcd")),
    ("/tftpboot/plain", Some("plain")),
    ("tftpboot//boot/BCD", Some("windows/bcd")),
    ("tftpbootx", None),
    ("private/key", None),
    (r"\private\key", None),
    ("pxelinux.cfg/default", Some("pxelinux.cfg/default")),
    ("/pxelinux.cfg//default", Some("pxelinux.cfg/default")),
    ("upper/name.txt", Some("NAME.txt")),
    ("UPPER/name.TXT", Some("NAME.txt")),
    ("cisco-7.cfg", Some("routers/cisco/7")),
    ("juniper-12.cfg", Some("routers/juniper/12")),
    ("nokia-7.cfg", None),
    ("mac/0a-b1", Some("hosts/b10a")),
    ("mac/0a:b1", Some("hosts/b10a")),
    ("latest", Some("images/v12")),
    ("family", Some("family.v4")),
    ("who", Some("clients/10.99.0.100")),
    ("hex", Some("clients/0A630064")),
    ("old/thing", Some("new/thing")),
    ("new/thing", Some("never/thing")),
    ("chain1", Some("chain3")),
    ("loopabcx", Some("loopabcy")),
    ("again", Some("windows/menu")),
    ("blank name#1", Some("blank # name")),
    ("vmlinuz.img.gz", Some("vmlinuz.img")),
    ("x.rev", Some("reverse/x")),
];

/// The names with another result over IPv6.
const READ_V6: [(&str, Option<&str>); 3] = [
    ("family", Some("family.v6")),
    ("who", Some("clients/fd99::64")),
    ("hex", Some("clients/FD990000000000000000000000000064")),
];

/// Names of write requests, and the names under which the files are stored.
const WRITTEN: [(&str, &str); 3] = [
    ("latest", "images/v13"),
    (r"\Boot\NEW", "windows/new"),
    ("old/written", "new/written"),
];

#[test]
fn a_map_file_maps_to_the_same_files_as_in_tftpd_hpa() {
    if !peers::available(&["ip", "in.tftpd"]) {
        return;
    }
    for program in [Program::Hpa, Program::Tftpd] {
        let lab = Lab::with_servers(&ONE_OF_EACH_FAMILY);
        let (root, map) = (lab.root(), lab.beside().join("map"));
        host::write(&map, MAP);
        for file in READ.iter().chain(&READ_V6).filter_map(|(_, file)| *file) {
            lab.file(file, file);
        }
        for file in ["tftpbootx/x", "private/key", "windows/x"] {
            lab.file(file, "unreachable");
        }
        let task = Task {
            writable: true,
            map_file: Some(&map),
            ..Task::reading(&root, &PORTS)
        };
        let server = Server::start(program, &lab.there, &task);
        check(program, &lab, &server);
        server.stop();
    }
}

#[track_caller]
fn check(program: Program, lab: &Lab, server: &Server) {
    let [v4, v6] = ONE_OF_EACH_FAMILY.map(|address| SocketAddr::new(address, 69));
    for (table, address) in [(&READ[..], v4), (&READ_V6[..], v6)] {
        for &(name, file) in table {
            let mut client = lab.client_of(address);
            let found = read(&mut client, address, name);
            let context = format!("{program:?}, {name:?}: {}", server.output());
            assert_eq!(found.as_deref(), file, "{context}");
        }
    }
    for (name, file) in WRITTEN {
        let mut client = lab.client_of(v4);
        request(&client, v4, 2, name);
        let context = format!("{program:?}, {name:?}");
        assert_eq!(
            client.receive_text(),
            "ACK 0",
            "{context}: {}",
            server.output()
        );
        assert_eq!(client.ask("DATA 1 len 5"), "ACK 1", "{context}");
        let stored = lab.root().join(file);
        assert_eq!(host::read(&stored).len(), 5, "{context}");
    }
}

/// Reads a short file; returns `None` if the request is refused.
#[track_caller]
fn read(client: &mut Client, server: SocketAddr, name: &str) -> Option<String> {
    request(client, server, 1, name);
    let answer = client.receive().expect("a server answers");
    let content = answer.strip_prefix(&[0, 3, 0, 1])?;
    client.send("ACK 1");
    Some(String::from_utf8_lossy(content).into_owned())
}

/// Sends a request for a name with any bytes.
#[track_caller]
fn request(client: &Client, server: SocketAddr, opcode: u8, name: &str) {
    let request = [&[0, opcode], name.as_bytes(), b"\0octet\0"].concat();
    client.send_bytes(&request, server);
}
