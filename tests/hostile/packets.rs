//! Malformed packets, made from well-formed ones.

/// A read request with every option; the truncations cut each of them somewhere.
const REQUEST: &[u8] =
    b"\0\x01boot/x\0octet\0tsize\x000\0blksize\x001468\0timeout\x005\0windowsize\x004\0";

/// Values of options that are no numbers, or out of bounds.
const VALUES: [&str; 14] = [
    "",
    "0",
    "7",
    "-1",
    "+8",
    " 8",
    "8 ",
    "0x10",
    "1e3",
    "65465",
    "65536",
    "4294967296",
    "18446744073709551616",
    "999999999999999999999999999999999999999",
];

/// First packets, for the listening port.
pub(crate) fn first() -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<u8>> = prefixes(REQUEST);
    packets.extend(opcodes());
    packets.extend(odd_options());
    packets.extend(odd_names());
    packets.extend(oversized());
    packets
}

/// Packets in mid-transfer, from the client to the transfer's port. None of them is an ERROR, which
/// would end the transfer.
pub(crate) fn mid() -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for whole in [
        b"\0\x03\0\x07seven and more".as_slice(),
        b"\0\x04\xff\xff and more",
        b"\0\x06blksize\x008\0windowsize\x0064\0",
        REQUEST,
    ] {
        packets.extend(prefixes(whole));
    }
    packets.extend(opcodes());
    packets.extend((0..16).map(|bit| {
        let [high, low] = (0x8000_u16 >> bit).wrapping_add(0x7f).to_be_bytes();
        vec![0, 4, high, low]
    }));
    packets.extend(oversized());
    packets.retain(|packet| packet.get(..2) != Some(&[0, 5]));
    packets
}

/// The packet truncated to every length, and whole.
fn prefixes(packet: &[u8]) -> Vec<Vec<u8>> {
    let lengths = 0..=packet.len();
    lengths
        .filter_map(|length| packet.get(..length).map(<[u8]>::to_vec))
        .collect()
}

/// Every opcode of the RFCs and many others, with and without a body.
fn opcodes() -> impl Iterator<Item = Vec<u8>> {
    let codes = (0..=16).chain([0xff, 0x100, 0x101, 0x200, 0x0400, 0x7fff, 0xff00, 0xffff]);
    codes.flat_map(|code: u16| {
        let code = code.to_be_bytes();
        [
            code.to_vec(),
            [&code[..], b"\0"].concat(),
            [&code[..], b"\xff\xff\xff\xff"].concat(),
            [&code[..], b"x\0octet\0blksize\x001\0"].concat(),
        ]
    })
}

fn odd_options() -> Vec<Vec<u8>> {
    let names = [
        "blksize",
        "tsize",
        "timeout",
        "windowsize",
        "blksize2",
        "utimeout",
        "rollover",
        "multicast",
        "",
    ];
    let mut packets: Vec<Vec<u8>> = names
        .iter()
        .flat_map(|name| VALUES.iter().map(move |value| request(&[name, value])))
        .collect();
    packets.extend([
        request(&["blksize"]),
        request(&["blksize", "512", "tsize"]),
        request(&["blksize"; 401]),
        request(&["tsize", "0"].repeat(60)),
        request(&[""; 900]),
        request(&["\u{fffd}\u{1f980}", "\u{7f}"]),
        request(&[&"o".repeat(700), &"9".repeat(700)]),
    ]);
    packets
}

/// A request for an existing file, with these strings as its options.
fn request(words: &[&str]) -> Vec<u8> {
    let mut packet = b"\0\x01x\0octet\0".to_vec();
    for word in words {
        packet.extend(word.bytes().chain([0]));
    }
    packet
}

fn odd_names() -> Vec<Vec<u8>> {
    let names: [&[u8]; 16] = [
        b"",
        b"/",
        b"..",
        b"../../../../etc/passwd",
        b"..\\..\\x",
        b"\\\\host\\share\\x",
        b"C:",
        b"x/",
        b"x/x",
        b".",
        b"%2e%2e/x",
        b"\xff\xfe\x80\r\n\x1b[2J",
        b"x\n2026-01-01 forged line",
        &[b'a'; 1900],
        &[b'/'; 1900],
        b"x\0\0\0",
    ];
    let modes: [&[u8]; 6] = [
        b"",
        b"OCTET",
        b"mail",
        b"netascii",
        b"octet\xff",
        &[b'm'; 60],
    ];
    let with = |name: &[u8], mode: &[u8]| [b"\0\x01", name, b"\0", mode, b"\0"].concat();
    names
        .iter()
        .flat_map(|name| modes.iter().map(|mode| with(name, mode)))
        .collect()
}

/// Packets without a NUL, and around the limits of the receive buffer.
fn oversized() -> Vec<Vec<u8>> {
    let lengths = [511, 512, 513, 516, 1500, 2047, 2048, 2049, 9000, 65_507];
    lengths
        .iter()
        .flat_map(|length| {
            [1, 2, 3, 4, 6, 0x41].map(|code| {
                let mut packet = vec![0, code];
                packet.resize(*length, b'a');
                packet
            })
        })
        .collect()
}
