use std::{fs, os::unix::fs::symlink};

use super::*;

const CLIENT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 2070);

fn open(fs: &FileSystem, name: &str) -> Result<Content, OpenError> {
    let opened = fs.open_read(
        &Name::from_request(name.as_bytes()).expect("a name"),
        CLIENT,
    )?;
    match opened {
        Opened::Ready(content) => Ok(content),
        Opened::Pending(_) => panic!("a file is there at once"),
    }
}

fn read(content: &Content) -> Vec<u8> {
    let mut bytes = vec![0; 100];
    let read = content
        .read_at(&mut [IoSliceMut::new(&mut bytes)], 0)
        .expect("readable");
    bytes.truncate(read);
    bytes
}

#[test]
fn a_file_is_served_with_its_size_and_a_link_inside_the_root_followed() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("grub")).expect("made");
    fs::write(dir.path().join("grub/x64.efi"), "loader").expect("written");
    symlink("/grub/x64.efi", dir.path().join("link")).expect("linked");
    let fs = FileSystem::new(dir.path()).expect("a root");
    for name in ["grub/x64.efi", "/grub/x64.efi", "link"] {
        let content = open(&fs, name).expect(name);
        assert_eq!(
            (content.size(), read(&content)),
            (Some(6), b"loader".to_vec()),
            "{name}"
        );
    }
}

#[test]
fn no_link_and_no_dots_lead_out_of_the_root() {
    let outside = tempfile::tempdir().expect("a directory");
    fs::write(outside.path().join("secret"), "s").expect("written");
    let dir = tempfile::tempdir().expect("a directory");
    symlink(outside.path().join("secret"), dir.path().join("out")).expect("linked");
    symlink(
        format!(
            "../{}/secret",
            outside.path().file_name().expect("named").display()
        ),
        dir.path().join("up"),
    )
    .expect("linked");
    let fs = FileSystem::new(dir.path()).expect("a root");
    for name in ["out", "up"] {
        assert!(
            matches!(open(&fs, name), Err(OpenError::NotFound)),
            "{name}"
        );
    }
}

#[test]
fn only_regular_files_are_served_and_a_pipe_does_not_block() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("sub")).expect("made");
    nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("made");
    let fs = FileSystem::new(dir.path()).expect("a root");
    for name in ["sub", "pipe"] {
        assert!(
            matches!(open(&fs, name), Err(OpenError::NotAFile)),
            "{name}"
        );
    }
    assert!(matches!(open(&fs, "sub/missing"), Err(OpenError::NotFound)));
}

#[test]
fn transfers_share_a_descriptor_until_the_file_is_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("image"), "old").expect("written");
    let fs = FileSystem::new(dir.path()).expect("a root");
    let (first, second) = (
        open(&fs, "image").expect("there"),
        open(&fs, "image").expect("there"),
    );
    assert!(Arc::ptr_eq(&first.reader, &second.reader), "one descriptor");
    fs::write(dir.path().join("new"), "newer").expect("written");
    fs::rename(dir.path().join("new"), dir.path().join("image")).expect("renamed");
    let third = open(&fs, "image").expect("there");
    assert_eq!(
        (read(&first), read(&third)),
        (b"old".to_vec(), b"newer".to_vec())
    );
}

#[test]
fn a_file_that_is_changed_in_its_place_is_never_read_to_its_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("image");
    fs::write(&path, "first version").expect("written");
    let fs = FileSystem::new(dir.path()).expect("a root");
    let content = open(&fs, "image").expect("there");
    let mut part = [0; 6];
    let read_part = |part: &mut [u8]| content.read_at(&mut [IoSliceMut::new(part)], 0);
    assert_eq!(read_part(&mut part).expect("readable"), 6);
    fs::write(&path, "other version").expect("written");
    let mut rest = [0; 20];
    let error = content
        .read_at(&mut [IoSliceMut::new(&mut rest)], 6)
        .expect_err("it has changed");
    assert!(error.to_string().contains("was changed"), "{error}");
    assert_eq!(read(&open(&fs, "image").expect("there")), b"other version");
}

#[test]
fn what_is_appended_to_a_file_does_not_spoil_what_was_there() {
    use std::io::Write as _;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    fs::write(&path, "one\n").expect("written");
    let fs = FileSystem::new(dir.path()).expect("a root");
    let content = open(&fs, "log").expect("there");
    let mut file = File::options().append(true).open(&path).expect("there");
    file.write_all(b"two\n").expect("written");
    assert_eq!(content.size(), Some(4));
    assert_eq!(read(&content).get(..4), Some(&b"one\n"[..]));
}

#[test]
fn case_is_ignored_only_on_request_and_only_where_it_is_clear_what_is_meant() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("boot")).expect("made");
    for name in ["boot/bcd", "boot/two", "boot/Two"] {
        fs::write(dir.path().join(name), name).expect("written");
    }
    let strict = FileSystem::new(dir.path()).expect("a root");
    assert!(matches!(
        open(&strict, r"\Boot\BCD"),
        Err(OpenError::NotFound)
    ));
    let fs = strict.ignoring_case();
    assert_eq!(read(&open(&fs, r"\Boot\BCD").expect("there")), b"boot/bcd");
    assert_eq!(read(&open(&fs, "boot/Two").expect("there")), b"boot/Two");
    assert!(
        matches!(open(&fs, "BOOT/TWO"), Err(OpenError::NotFound)),
        "which one is meant?"
    );
    assert!(matches!(open(&fs, "boot/three"), Err(OpenError::NotFound)));
}

#[test]
fn a_root_that_cannot_be_served_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("file"), "").expect("written");
    assert!(matches!(
        FileSystem::new(dir.path().join("none")),
        Err(RootError::NotFound(_))
    ));
    assert!(matches!(
        FileSystem::new(dir.path().join("file")),
        Err(RootError::NotADirectory(_))
    ));
}
