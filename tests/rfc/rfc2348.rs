//! RFC 2348, "TFTP Blocksize Option".

use tftpd::proto::{Blksize, ErrorCode, OackError, Outcome};

use crate::conversation::{
    ack, bytes, client_of_read, client_of_write, data, error, oack, rrq, server, wrq,
};

/// "Blocksize Option Specification": 8 to 65464, as decimal digits.
#[test]
fn block_sizes_go_from_8_to_65464() {
    for blksize in ["8", "512", "1428", "65464"] {
        let option = format!("blksize={blksize}");
        server(&rrq(&option), b"").expect(oack(&option));
    }
    assert_eq!(Blksize::new(7), None);
    assert_eq!(Blksize::new(65_465), None);
}

/// What is below the bounds or no number is treated as not asked; what is above is lowered, as a
/// server may.
#[test]
fn block_sizes_out_of_bounds_do_no_harm() {
    for blksize in ["7", "0", "-1", "abc", "1e3", " 512"] {
        let request = [
            b"\x00\x01f\x00octet\x00blksize\x00",
            blksize.as_bytes(),
            b"\x00",
        ]
        .concat();
        server(&request, b"x").expect(data(1, b"x"));
    }
    server(&rrq("blksize=65465"), b"").expect(oack("blksize=65464"));
    server(&rrq("blksize=4294967808"), b"").expect(oack("blksize=65464"));
}

/// "Blocksize Option Specification": the server answers with the same or a smaller value; one that
/// is larger is refused by the client.
#[test]
fn a_client_takes_a_smaller_block_size_and_no_larger_one() {
    let mut client = client_of_read("blksize=1428", &oack("blksize=1024")).expect("smaller");
    client
        .expect(ack(0))
        .recv(data(1, &bytes(1024)))
        .expect(ack(1));
    client.recv(data(2, &bytes(1023))).expect(ack(2));
    assert_eq!(client.file().len(), 2047);
    let larger = client_of_read("blksize=1428", &oack("blksize=1429"));
    assert_eq!(larger.err(), Some(OackError::Raised("blksize")));
    let foolish = client_of_write("blksize=1428", &oack("blksize=0"), b"");
    assert_eq!(foolish.err(), Some(OackError::BadValue("blksize")));
}

/// "Blocksize Option Specification", example: a read in blocks of 1428 bytes.
#[test]
fn blocks_have_the_size_that_was_agreed() {
    let file = bytes(3000);
    let mut server = server(&rrq("blksize=1428"), &file);
    server.expect(oack("blksize=1428")).recv(ack(0));
    server.expect(data(1, &file[..1428])).recv(ack(1));
    server.expect(data(2, &file[1428..2856])).recv(ack(2));
    server
        .expect(data(3, &file[2856..]))
        .recv(ack(3))
        .expect_complete();
}

/// A block shorter than agreed is the last one, whatever 512 would say; a full one never is.
#[test]
fn the_last_block_is_one_shorter_than_agreed() {
    let mut server = server(&wrq("blksize=1024"), b"");
    server
        .expect(oack("blksize=1024"))
        .recv(data(1, &bytes(1024)))
        .expect(ack(1));
    server
        .recv(data(2, &bytes(512)))
        .expect(ack(2))
        .silence()
        .expect_complete();
    assert_eq!(server.file().len(), 1536);
}

/// The smallest and the largest size in whole transfers, an exact multiple included.
#[test]
fn the_smallest_and_the_largest_blocks_are_carried() {
    for (blksize, size) in [(8, 16), (8, 17), (65_464, 65_464), (65_464, 65_465)] {
        let file = bytes(size);
        let option = format!("blksize={blksize}");
        let mut server = server(&rrq(&option), &file);
        let mut client = client_of_read(&option, &oack(&option)).expect("good");
        server.expect(oack(&option)).recv(ack(0));
        client.expect(ack(0));
        let blocks = size / blksize + 1;
        for number in 1..=blocks {
            let wire = u16::try_from(number).expect("few");
            let rest = &file[(number - 1) * blksize..];
            let block = data(wire, &rest[..rest.len().min(blksize)]);
            server.expect(&block).recv(ack(wire));
            client.recv(&block).expect(ack(wire));
        }
        server.expect_complete();
        assert_eq!(client.file(), file);
    }
}

/// A block larger than agreed breaks the protocol, and is answered with ERROR 4.
#[test]
fn a_block_larger_than_agreed_is_refused_and_not_stored() {
    let mut client = client_of_read("blksize=1024", &oack("blksize=512")).expect("smaller");
    client.expect(ack(0)).recv(data(1, &bytes(1024)));
    client.expect(error(ErrorCode::IllegalOperation));
    client.expect_end(&Outcome::Violation("a block is larger than agreed"));
    assert_eq!(client.file(), b"");
}
