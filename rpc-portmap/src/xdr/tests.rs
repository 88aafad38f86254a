use proptest::prelude::*;

use super::*;

crate::xdr_struct! {
    /// A structure with a field of every kind.
    #[derive(Clone, Debug, Eq, PartialEq)]
    struct Everything {
        signed: i32,
        wide: i64,
        flag: bool,
        key: [u8; 5],
        name: Text<12>,
        blob: Opaque<12>,
        maybe: Option<u64>,
        numbers: Array<u32, 4>,
        list: List<Shape>,
    }
}

crate::xdr_union! {
    /// A union with and without a value.
    #[derive(Clone, Debug, Eq, PartialEq)]
    enum Shape {
        1 => Circle(u32),
        2 => Nothing,
        7 => Labelled(Label),
    }
}

crate::xdr_enum! {
    /// An enumeration with a gap.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    enum Label {
        Small = 0,
        Large = 9,
    }
}

crate::xdr_struct! {
    /// A type that contains itself, which a hostile sender can nest as deep as it likes.
    #[derive(Clone, Debug, Eq, PartialEq)]
    struct Tree {
        children: List<Tree>,
    }
}

fn example() -> Everything {
    Everything {
        signed: -2,
        wide: -3,
        flag: true,
        key: *b"01234",
        name: "abc".parse().expect("short"),
        blob: Opaque::new(vec![0xff; 4]).expect("short"),
        maybe: Some(1),
        numbers: Array::new(vec![5, 6]).expect("few"),
        list: List(vec![
            Shape::Circle(8),
            Shape::Nothing,
            Shape::Labelled(Label::Large),
        ]),
    }
}

#[test]
fn each_type_has_the_form_that_the_rfc_draws() {
    let golden = [
        "fffffffe",                   // int -2
        "ffffffff fffffffd",          // hyper -3
        "00000001",                   // TRUE
        "30313233 34000000",          // opaque[5], three residual bytes
        "00000003 61626300",          // string "abc", one residual byte
        "00000004 ffffffff",          // opaque<12>, none
        "00000001 00000000 00000001", // optional data that is there
        "00000002 00000005 00000006", // array
        "00000001 00000001 00000008", // list: a circle
        "00000001 00000002",          // nothing
        "00000001 00000007 00000009", // a label
        "00000000",                   // the end
    ];
    let bytes = hex(&golden.concat());
    assert_eq!(to_bytes(&example()), bytes);
    assert_eq!(from_bytes::<Everything>(&bytes), Ok(example()));
}

#[test]
fn every_truncation_is_an_error_and_every_extension_is_ignored() {
    let mut bytes = to_bytes(&example());
    for length in 0..bytes.len() {
        let error = from_bytes::<Everything>(&bytes[..length]).expect_err("too short");
        assert!(
            matches!(error, DecodeError::Truncated { missing } if missing > 0),
            "{length}"
        );
    }
    bytes.extend([1, 2, 3]);
    assert_eq!(from_bytes::<Everything>(&bytes), Ok(example()));
}

#[test]
fn a_length_is_believed_neither_beyond_the_cap_nor_beyond_the_bytes() {
    let too_long = Err(DecodeError::TooLong {
        length: 13,
        max: 12,
    });
    assert_eq!(
        from_bytes::<Text<12>>(&hex("0000000d")),
        too_long.map(|()| Text::default())
    );
    assert_eq!(
        from_bytes::<Opaque<12>>(&hex("0000000d")),
        too_long.map(|()| Opaque::default())
    );
    let mut all = Decoder::new(b"\xff\xff\xff\xff\0\0\0\0");
    let error = all.opaque(usize::MAX).expect_err("four bytes are left");
    assert!(matches!(error, DecodeError::Truncated { .. }));
    let error = from_bytes::<Array<u32, { usize::MAX }>>(b"\x7f\xff\xff\xff\0\0\0\0");
    assert!(matches!(error, Err(DecodeError::Truncated { .. })));
}

#[test]
fn residual_bytes_may_be_anything_and_a_bool_any_number() {
    assert_eq!(
        from_bytes::<Text<4>>(b"\0\0\0\x01axyz"),
        Text::new("a").map_err(|_| unreachable!())
    );
    assert_eq!(from_bytes::<bool>(&[0, 0, 0, 2]), Ok(true));
}

#[test]
fn an_unknown_value_is_an_error() {
    let error = DecodeError::UnknownValue {
        what: "Shape",
        value: 3,
    };
    assert_eq!(from_bytes::<Shape>(&hex("00000003")), Err(error));
    assert_eq!(error.to_string(), "3 is not a Shape");
    assert_eq!(
        from_bytes::<Text<4>>(b"\0\0\0\x01\xff\0\0\0"),
        Err(DecodeError::NotText)
    );
}

#[test]
fn a_long_list_uses_no_stack() {
    let list: List<u32> = (0..200_000).collect();
    assert_eq!(from_bytes(&to_bytes(&list)), Ok(list));
}

#[test]
fn nesting_ends_where_no_protocol_goes() {
    let bytes = hex(&"00000001".repeat(100_000));
    assert_eq!(from_bytes::<Tree>(&bytes), Err(DecodeError::TooDeep));
    let leaf = || Tree {
        children: List::default(),
    };
    let tree = Tree {
        children: List(vec![
            leaf(),
            Tree {
                children: List(vec![leaf()]),
            },
        ]),
    };
    assert_eq!(from_bytes(&to_bytes(&tree)), Ok(tree));
}

#[test]
fn what_is_displayed_is_a_string_like_any_other() {
    for length in 0..9 {
        let text = "x".repeat(length);
        let mut bytes = b"before".to_vec();
        put_display(&text, &mut bytes);
        assert_eq!(bytes[6..], to_bytes(&Text::<9>::truncated(&text)));
    }
}

#[test]
fn a_text_is_cut_between_characters() {
    assert_eq!(&*Text::<4>::truncated("abcé"), "abc");
    assert_eq!(&*Text::<5>::truncated("abcé"), "abcé");
    let error = Text::<3>::new("four").expect_err("too long");
    assert_eq!(error.to_string(), "4 bytes where at most 3 are allowed");
}

proptest! {
    #[test]
    fn every_written_value_reads_back(
        signed: i32, wide: i64, flag: bool, key: [u8; 5], name in "[a-zäöü]{0,6}",
        blob in prop::collection::vec(any::<u8>(), 0..=12), maybe: Option<u64>,
        numbers in prop::collection::vec(any::<u32>(), 0..=4),
        shapes in prop::collection::vec(0_u32..3, 0..9),
    ) {
        let shape = |number| match number {
            0 => Shape::Circle(signed.cast_unsigned()),
            1 => Shape::Nothing,
            _ => Shape::Labelled(Label::Small),
        };
        let value = Everything {
            signed, wide, flag, key, maybe,
            name: Text::new(name).expect("short"),
            blob: Opaque::new(blob).expect("short"),
            numbers: Array::new(numbers).expect("few"),
            list: shapes.into_iter().map(shape).collect(),
        };
        let bytes = to_bytes(&value);
        prop_assert_eq!(bytes.len() % 4, 0);
        prop_assert_eq!(from_bytes::<Everything>(&bytes), Ok(value));
    }

    #[test]
    fn every_read_value_is_written_back_and_reads_the_same(bytes in prop::collection::vec(0_u8..4, 0..160)) {
        if let Ok(value) = from_bytes::<Everything>(&bytes) {
            prop_assert_eq!(from_bytes::<Everything>(&to_bytes(&value)), Ok(value));
        }
    }
}

/// The bytes that hexadecimal digits with any spaces stand for.
#[track_caller]
fn hex(digits: &str) -> Vec<u8> {
    crate::hex::bytes(digits)
}
