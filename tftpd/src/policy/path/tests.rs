use super::*;
use proptest::prelude::*;

fn name(raw: &[u8]) -> Vec<u8> {
    Name::from_request(raw)
        .unwrap_or_else(|error| panic!("{}: {error}", Printable(raw)))
        .as_bytes()
        .to_vec()
}

fn error(raw: &[u8]) -> NameError {
    match Name::from_request(raw) {
        Err(error) => error,
        Ok(name) => panic!("{} is taken for {name}", Printable(raw)),
    }
}

#[test]
fn every_spelling_of_firmware_means_the_file_under_the_root() {
    for (request, meant) in [
        ("/boot/vmlinuz", "boot/vmlinuz"),
        ("efi64//ldlinux.e64", "efi64/ldlinux.e64"),
        ("//boot///x", "boot/x"),
        (r"\Boot\BCD", "Boot/BCD"),
        (r"/boot\BCD", "boot/BCD"),
        (r"Boot\\Fonts\wgl4_boot.ttf", "Boot/Fonts/wgl4_boot.ttf"),
        (r"C:\tftp\x", "tftp/x"),
        ("c:/tftp/x", "tftp/x"),
        ("/C:/x", "x"),
        (
            "pxelinux.cfg/01-52-54-00-77-00-01",
            "pxelinux.cfg/01-52-54-00-77-00-01",
        ),
        ("52:54:00:77:00:01/cfg", "52:54:00:77:00:01/cfg"),
        ("./small", "small"),
        ("sub/./small", "sub/small"),
        ("...", "..."),
        (".hidden", ".hidden"),
        ("a%2fb", "a%2fb"),
        ("trailing blank ", "trailing blank "),
    ] {
        assert_eq!(name(request.as_bytes()), meant.as_bytes(), "{request}");
    }
}

#[test]
fn dots_stay_inside_the_root() {
    assert_eq!(name(b"sub/../small"), b"small");
    assert_eq!(name(b"../x"), b"x");
    assert_eq!(name(b"/../../etc/passwd"), b"etc/passwd");
    assert_eq!(name(br"a\..\..\etc/passwd"), b"etc/passwd");
    assert_eq!(name(br"C:\..\x"), b"x");
    assert_eq!(
        Name::strict(br"a\..\..\etc/passwd"),
        Err(NameError::OutsideRoot)
    );
    assert_eq!(NameError::OutsideRoot.code(), ErrorCode::AccessViolation);
    assert_eq!(
        Name::strict(b"sub/../small"),
        Name::from_request(b"small"),
        "inside the root a strict name may go up"
    );
}

#[test]
fn a_directory_is_never_taken_for_a_file() {
    for raw in ["", "/", r"\\", ".", "..", "/.", "C:/", "../..", "a/.."] {
        assert_eq!(error(raw.as_bytes()), NameError::Empty, "{raw}");
    }
    for raw in ["boot/", r"boot\", "boot/.", "boot/grub/..", "a/b/../"] {
        assert_eq!(error(raw.as_bytes()), NameError::Directory, "{raw}");
    }
    assert_eq!(NameError::Empty.code(), ErrorCode::FileNotFound);
    assert_eq!(NameError::Directory.code(), ErrorCode::FileNotFound);
}

#[test]
fn a_drive_is_dropped_only_where_a_root_can_stand() {
    assert_eq!(name(b"C:"), b"C:");
    assert_eq!(name(b"a/C:/x"), b"a/C:/x");
    assert_eq!(name(b"C:x"), b"C:x");
    assert_eq!(name(b"./C:/D:/x"), b"x");
}

#[test]
fn what_is_too_long_for_a_file_system_is_not_found() {
    assert_eq!(name(&[b'a'; MAX_COMPONENT]).len(), MAX_COMPONENT);
    let long = error(&[b'a'; MAX_COMPONENT + 1]);
    assert_eq!(
        long,
        NameError::TooLong {
            length: 256,
            limit: 255
        }
    );
    assert_eq!(long.code(), ErrorCode::FileNotFound);

    let deepest = b"ab/".repeat(MAX_NAME / 3 + 1);
    assert_eq!(name(&deepest[..MAX_NAME - 1]).len(), MAX_NAME - 1);
    assert_eq!(
        error(&deepest[..=MAX_NAME]),
        NameError::TooLong {
            length: 4096,
            limit: 4095
        }
    );
    let spelled_long = [b"./".repeat(4000), b"x".to_vec()].concat();
    assert_eq!(name(&spelled_long), b"x", "only the name itself counts");
}

#[test]
fn any_byte_but_nul_is_part_of_a_name_and_escaped_when_shown() {
    let odd = Name::from_request(b"gr\xfcn/\x1b[2J\n\xff").expect("legal bytes");
    assert_eq!(odd.as_bytes(), b"gr\xfcn/\x1b[2J\n\xff");
    assert_eq!(odd.to_string(), r"gr\xfcn/\x1b[2J\x0a\xff");
    assert_eq!(error(b"a\0b"), NameError::Nul);
}

#[test]
fn a_name_comes_apart_into_directory_and_file() {
    let deep = Name::from_request(b"/a/b/c").expect("a good name");
    assert_eq!(
        (deep.parent(), deep.file_name()),
        (Some(b"a/b".as_slice()), b"c".as_slice())
    );
    assert!(deep.components().eq([b"a", b"b", b"c"]));
    let flat = Name::from_request(b"/c").expect("a good name");
    assert_eq!((flat.parent(), flat.file_name()), (None, b"c".as_slice()));
    assert_eq!(deep.as_path(), std::path::Path::new("a/b/c"));
}

/// Names made of what names are made of, so that dots and separators meet often.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"/".to_vec()),
        Just(b"\\".to_vec()),
        Just(b".".to_vec()),
        Just(b"..".to_vec()),
        Just(b"C:".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_name_is_always_below_the_root(raw in request()) {
        if let Ok(name) = Name::from_request(&raw) {
            prop_assert!(name.components().all(|part| !matches!(part, b"" | b"." | b"..")));
            prop_assert!(!name.as_bytes().iter().any(|byte| matches!(byte, 0 | b'\\')));
            prop_assert_eq!(Name::from_request(name.as_bytes()), Ok(name.clone()));
            prop_assert_eq!(Name::strict(name.as_bytes()), Ok(name));
        }
    }

    #[test]
    fn a_strict_name_is_the_same_name_or_none(raw in request()) {
        match Name::strict(&raw) {
            Err(NameError::OutsideRoot) => {}
            strict => prop_assert_eq!(strict, Name::from_request(&raw)),
        }
    }

    #[test]
    fn separators_and_a_leading_slash_make_no_difference(raw in request()) {
        let slashes: Vec<u8> = raw.iter().map(|&b| if b == b'\\' { b'/' } else { b }).collect();
        prop_assert_eq!(Name::from_request(&slashes), Name::from_request(&raw));
        let rooted = [b"/".as_slice(), &raw].concat();
        prop_assert_eq!(Name::from_request(&rooted), Name::from_request(&raw));
    }
}
