//! Encoding and decoding of packets, and option negotiation.

use std::hint::black_box;

use criterion::Criterion;
use tftpd::proto::{
    Ack, Blksize, Data, Direction, Error, ErrorCode, GrantLimits, Mode, Oack, Options, Packet,
    Request, Timeout, Windowsize, accept, grant,
};

const PAYLOAD: [u8; 1468] = [7; 1468];

pub(crate) fn all(criterion: &mut Criterion) {
    let options = options();
    let bare = request(Options::default());
    let full = request(options);
    let data = Data {
        block: 513,
        payload: &PAYLOAD,
    };
    let error = Error::new(ErrorCode::FileNotFound);

    packet(criterion, "request", |out| bare.encode(out));
    packet(criterion, "request with 4 options", |out| full.encode(out));
    packet(criterion, "data of 1468 bytes", |out| data.encode(out));
    packet(criterion, "ack", |out| Ack { block: 513 }.encode(out));
    packet(criterion, "error", |out| error.encode(out));
    packet(criterion, "oack of 4 options", |out| {
        Oack { options }.encode(out);
    });
    oack(criterion, options);
    negotiation(criterion, options);
}

/// Measures encoding into a reused buffer, and decoding of the result.
fn packet(criterion: &mut Criterion, name: &str, encode: impl Fn(&mut Vec<u8>)) {
    let mut out = Vec::with_capacity(2048);
    criterion.bench_function(&format!("encode/{name}"), |bencher| {
        bencher.iter(|| {
            out.clear();
            encode(black_box(&mut out));
            out.len()
        });
    });
    criterion.bench_function(&format!("decode/{name}"), |bencher| {
        bencher.iter(|| Packet::decode(black_box(&out)).is_ok());
    });
}

/// Measures a client's second decoding step: the options of an OACK.
fn oack(criterion: &mut Criterion, options: Options) {
    let mut out = Vec::new();
    Oack { options }.encode(&mut out);
    let body = out.get(2..).expect("an opcode comes first");
    criterion.bench_function("decode/options of an oack", |bencher| {
        bencher.iter(|| Oack::decode(black_box(body)));
    });
}

fn negotiation(criterion: &mut Criterion, asked: Options) {
    let limits = GrantLimits::default();
    criterion.bench_function("options/grant 4", |bencher| {
        bencher.iter(|| grant(black_box(&asked), &limits, Some(1 << 20)));
    });
    let (_, granted) = grant(&asked, &limits, Some(1 << 20));
    let granted = granted.expect("something was asked for");
    criterion.bench_function("options/accept 4", |bencher| {
        bencher.iter(|| accept(black_box(&asked), black_box(&granted)));
    });
}

fn options() -> Options {
    Options::default()
        .with_blksize(Blksize::new(1468))
        .with_tsize(0)
        .with_timeout(Timeout::new(3))
        .with_windowsize(Windowsize::new(16))
}

fn request(options: Options) -> Request<'static> {
    Request {
        direction: Direction::Read,
        filename: b"efi64/pxelinux.cfg/01-52-54-00-ab-00-01",
        mode: Mode::Octet,
        options,
    }
}
