//! Uploads over real sockets: refusals, stored files, and files left behind.

#![expect(clippy::disallowed_methods, reason = "tests make files")]

mod common;

use std::{
    fs, io,
    net::{SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};

use common::{allocator, serve, socket};
use tftpd::{
    Server,
    backend::{Backend, FileSystem, Memory, Overwrite, UploadPolicy},
    server::{Cause, Ending, Rejection, Summary},
};

#[test]
fn a_file_is_there_when_its_last_block_is_acknowledged() {
    let root = tempfile::tempdir().expect("a directory");
    let summary = with_server(writable(root.path(), UploadPolicy::default()), |server| {
        for size in [0, 1, 511, 512, 513, 100_000] {
            let name = format!("up{size}");
            let mut put = Put::begin(server, &name, "");
            put.send_all(&content(size), 512);
            assert!(
                fs::read(root.path().join(&name)).expect("there") == content(size),
                "{size} bytes"
            );
        }
    });
    assert_eq!((summary.received, summary.failed), (6, 0));
}

#[test]
fn windows_and_blocks_are_agreed_upon_and_one_ack_answers_a_window() {
    let files = Memory::new().writable(1 << 20);
    with_server(files.clone(), |server| {
        let mut put = Put::begin(
            server,
            "x",
            "blksize\x001000\x00windowsize\x004\x00tsize\x0010500\x00",
        );
        assert_eq!(
            put.opened,
            b"\x00\x06blksize\x001000\x00tsize\x0010500\x00windowsize\x004\x00"
        );
        let bytes = content(10_500);
        for (window, blocks) in bytes.chunks(4000).enumerate() {
            for (index, block) in blocks.chunks(1000).enumerate() {
                put.data(u16::try_from(window * 4 + index + 1).expect("few"), block);
            }
            let last = u16::try_from((window * 4 + 4).min(11)).expect("few");
            assert_eq!(put.answer(), ack(last));
        }
        assert_eq!(files.read("x"), Some(bytes));
    });
}

#[test]
fn what_may_not_be_written_is_refused_with_its_own_code() {
    let root = tempfile::tempdir().expect("a directory");
    fs::write(root.path().join("there"), "old").expect("written");
    fs::create_dir(root.path().join("sub")).expect("made");
    let mut policy = UploadPolicy::default();
    policy.max_size = 1000;
    with_server(writable(root.path(), policy), |server| {
        for (name, options, code) in [
            ("there", "", 6),
            ("new", "tsize\x001001\x00", 3),
            ("sub", "", 2),
            ("none/new", "", 1),
            ("sub/", "", 1),
        ] {
            assert_eq!(refusal(server, name, options), code, "{name}");
        }
        // Too large, without a tsize.
        let mut put = Put::begin(server, "large", "");
        put.data(1, &[1; 512]);
        assert_eq!(put.answer(), ack(1));
        put.data(2, &[1; 512]);
        assert_eq!(put.answer().get(..4), Some(&[0, 5, 0, 3][..]));
    });
    assert_eq!(names(root.path()), ["sub", "there"]);
    assert_eq!(fs::read(root.path().join("there")).expect("there"), b"old");
    with_server(FileSystem::new(root.path()).expect("a root"), |server| {
        assert_eq!(
            refusal(server, "new", ""),
            2,
            "uploads are off unless asked for"
        );
    });
    let mut policy = UploadPolicy::default();
    (policy.create, policy.overwrite) = (false, Overwrite::Always);
    with_server(writable(root.path(), policy), |server| {
        assert_eq!(
            refusal(server, "new", ""),
            1,
            "only what is there may be replaced"
        );
        Put::begin(server, "there", "").send_all(b"new", 512);
    });
    assert_eq!(fs::read(root.path().join("there")).expect("there"), b"new");
}

#[test]
fn too_large_and_disk_full_have_different_endings() {
    let root = tempfile::tempdir().expect("a directory");
    let mut policy = UploadPolicy::default();
    policy.max_size = 1000;
    let server = Server::builder().backend(writable(root.path(), policy));
    let (records, _) = serve(server, &allocator(), |server| {
        assert_eq!(refusal(server, "honest", "tsize\x001001\0"), 3);
        let mut put = Put::begin(server, "silent", "");
        put.data(1, &[1; 512]);
        assert_eq!(put.answer(), ack(1));
        put.data(2, &[1; 512]);
        assert_eq!(put.answer().get(..4), Some(&[0, 5, 0, 3][..]));
    });
    let endings: Vec<_> = records.iter().map(|record| &record.ending).collect();
    let too_large = Ending::Failed(Cause::TooLarge { limit: 1000 });
    assert_eq!(
        endings,
        [&Ending::Rejected(Rejection::TooLarge), &too_large]
    );
}

#[test]
fn a_broken_upload_leaves_nothing_and_replaces_nothing() {
    let root = tempfile::tempdir().expect("a directory");
    fs::write(root.path().join("config"), "old").expect("written");
    let mut policy = UploadPolicy::default();
    policy.overwrite = Overwrite::Always;
    let summary = with_server(writable(root.path(), policy), |server| {
        let mut aborted = Put::begin(server, "config", "");
        aborted.data(1, &[1; 512]);
        assert_eq!(aborted.answer(), ack(1));
        aborted.send(b"\x00\x05\x00\x00enough\x00");
        let mut gone = Put::begin(server, "config", "");
        gone.data(1, &[1; 512]);
        assert_eq!(gone.answer(), ack(1));
        drop(gone);
        // The server stops during this upload.
        let mut stopped = Put::begin(server, "config", "");
        stopped.data(1, &[1; 512]);
        assert_eq!(stopped.answer(), ack(1));
    });
    assert_eq!((summary.received, summary.failed), (0, 3));
    assert_eq!(names(root.path()), ["config"]);
    assert_eq!(fs::read(root.path().join("config")).expect("there"), b"old");
}

#[test]
fn old_versions_are_kept_under_numbered_names() {
    let root = tempfile::tempdir().expect("a directory");
    let mut policy = UploadPolicy::default();
    policy.overwrite = Overwrite::Versioned;
    with_server(writable(root.path(), policy), |server| {
        for text in ["one", "two", "three"] {
            Put::begin(server, "config", "").send_all(text.as_bytes(), 512);
        }
    });
    assert_eq!(names(root.path()), ["config", "config.~1~", "config.~2~"]);
    for (name, text) in [
        ("config", "three"),
        ("config.~1~", "one"),
        ("config.~2~", "two"),
    ] {
        assert_eq!(
            fs::read_to_string(root.path().join(name)).expect("there"),
            text,
            "{name}"
        );
    }
}

#[test]
fn two_writers_of_one_name_never_mix() {
    let root = tempfile::tempdir().expect("a directory");
    for (overwrite, second, left) in [
        (Overwrite::Always, ack(2), [2; 600]),
        (Overwrite::Never, vec![0, 5, 0, 6], [1; 600]),
    ] {
        let mut policy = UploadPolicy::default();
        policy.overwrite = overwrite;
        with_server(writable(root.path(), policy), |server| {
            let (mut a, mut b) = (Put::begin(server, "x", ""), Put::begin(server, "x", ""));
            for (put, byte) in [(&mut a, 1), (&mut b, 2)] {
                put.data(1, &[byte; 512]);
                assert_eq!(put.answer(), ack(1));
            }
            a.data(2, &[1; 88]);
            assert_eq!(a.answer(), ack(2));
            b.data(2, &[2; 88]);
            assert_eq!(b.answer().get(..4), Some(&second[..]));
        });
        assert_eq!(
            fs::read(root.path().join("x")).expect("there"),
            left,
            "{overwrite:?}"
        );
        assert_eq!(names(root.path()), ["x"]);
        fs::remove_file(root.path().join("x")).expect("removed");
    }
}

#[test]
fn a_last_block_that_comes_again_is_acknowledged_again_and_stored_once() {
    let files = Memory::new().writable(1 << 20);
    with_server(files.clone(), |server| {
        let mut put = Put::begin(server, "x", "");
        put.data(1, b"hello");
        assert_eq!(put.answer(), ack(1));
        put.data(1, b"hello");
        assert_eq!(put.answer(), ack(1));
    });
    assert_eq!(files.read("x"), Some(b"hello".to_vec()));
}

#[test]
fn text_is_stored_with_local_line_ends_also_when_a_pair_is_split() {
    let files = Memory::new().writable(1 << 20);
    with_server(files.clone(), |server| {
        let mut put = Put::in_mode(
            server,
            "x",
            "netascii",
            "blksize\x008\x00tsize\x00999999999\x00",
        );
        put.data(1, b"1234567\r");
        assert_eq!(put.answer(), ack(1));
        put.data(2, b"\n9\r\0end\r");
        assert_eq!(put.answer(), ack(2));
        put.data(3, b"");
        assert_eq!(put.answer(), ack(3));
    });
    assert_eq!(files.read("x"), Some(b"1234567\n9\rend\r".to_vec()));
}

#[test]
fn uploads_may_have_a_directory_from_which_nothing_is_read() {
    let (root, inbox) = (
        tempfile::tempdir().expect("a directory"),
        tempfile::tempdir().expect("a directory"),
    );
    let files = FileSystem::new(root.path()).expect("a root");
    let files = files
        .with_uploads_to(inbox.path(), UploadPolicy::default())
        .expect("a directory");
    with_server(files, |server| {
        Put::begin(server, "../../x", "").send_all(b"hello", 512);
        let reader = socket();
        reader
            .send_to(b"\x00\x01x\x00octet\x00", server)
            .expect("sent");
        let mut buffer = [0; 600];
        let (_, from) = reader.recv_from(&mut buffer).expect("an answer");
        assert_eq!((from, &buffer[..4]), (server, &[0, 5, 0, 1][..]));
    });
    assert_eq!(
        (names(root.path()), names(inbox.path())),
        (vec![], vec!["x".to_owned()])
    );
}

/// One upload, packet by packet.
struct Put {
    socket: UdpSocket,
    opened: Vec<u8>,
}

impl Put {
    fn begin(server: SocketAddr, name: &str, options: &str) -> Self {
        Self::in_mode(server, name, "octet", options)
    }

    fn in_mode(server: SocketAddr, name: &str, mode: &str, options: &str) -> Self {
        let socket = socket();
        socket
            .send_to(
                format!("\0\x02{name}\0{mode}\0{options}").as_bytes(),
                server,
            )
            .expect("sent");
        let mut buffer = [0; 600];
        let (length, transfer) = socket.recv_from(&mut buffer).expect("an answer");
        socket.connect(transfer).expect("connected");
        let opened = buffer.get(..length).unwrap_or_default().to_vec();
        assert!(
            matches!(opened.get(..2), Some([0, 4 | 6])),
            "refused: {}",
            opened.escape_ascii()
        );
        Self { socket, opened }
    }

    fn send_all(&mut self, bytes: &[u8], blksize: usize) {
        let mut blocks: Vec<&[u8]> = bytes.chunks(blksize).collect();
        if bytes.len().is_multiple_of(blksize) {
            blocks.push(&[]);
        }
        for (block, number) in blocks.into_iter().zip(1..) {
            self.data(number, block);
            assert_eq!(self.answer(), ack(number));
        }
    }

    fn data(&mut self, block: u16, payload: &[u8]) {
        self.send(&[&[0, 3], &block.to_be_bytes()[..], payload].concat());
    }

    fn send(&mut self, datagram: &[u8]) {
        self.socket.send(datagram).expect("sent");
    }

    fn answer(&mut self) -> Vec<u8> {
        let mut buffer = [0; 600];
        let length = self.socket.recv(&mut buffer).expect("an answer");
        buffer.get(..length).unwrap_or_default().to_vec()
    }
}

fn refusal(server: SocketAddr, name: &str, options: &str) -> u8 {
    let socket = socket();
    socket
        .send_to(format!("\0\x02{name}\0octet\0{options}").as_bytes(), server)
        .expect("sent");
    let mut buffer = [0; 600];
    let (_, from) = socket.recv_from(&mut buffer).expect("an answer");
    assert_eq!(
        (from, &buffer[..3]),
        (server, &[0, 5, 0][..]),
        "an ERROR from the listening port"
    );
    buffer[3]
}

fn ack(block: u16) -> Vec<u8> {
    [&[0, 4], &block.to_be_bytes()[..]].concat()
}

fn content(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| u8::try_from(at % 251).expect("small"))
        .collect()
}

fn writable(root: &Path, policy: UploadPolicy) -> FileSystem {
    FileSystem::new(root).expect("a root").with_uploads(policy)
}

fn names(directory: &Path) -> Vec<String> {
    let entries: io::Result<Vec<_>> = fs::read_dir(directory).expect("readable").collect();
    let names = entries
        .expect("readable")
        .into_iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Runs `test` while a server serves `files`, then stops it without a drain time.
fn with_server(files: impl Backend, test: impl FnOnce(SocketAddr)) -> Summary {
    let allocator = allocator();
    let server = Server::builder().backend(files).drain(Duration::ZERO);
    let (_, summary) = serve(server, &allocator, test);
    assert_eq!(allocator.stats().leased, 0, "every port came back");
    summary
}
