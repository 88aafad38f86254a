//! The checks of a request before a file is opened.

use std::{hint::black_box, net::IpAddr};

use criterion::Criterion;
use eport_core::limit::{HalfOpen, HalfOpenAdmission, HalfOpenLimits};
use tftpd::{
    policy::{Name, RequestPolicy, Rules, explain::Query},
    proto::{Direction, Mode, Options, Request},
};

/// A map file with rules that administrators use.
const MAP_FILE: &[u8] = br"
ri ^[a-z]:
rg \\           /
r  ^[^/]        /tftpboot/\0
e  ^/tftpboot/pxelinux\.cfg/
ri ^/tftpboot/(boot/.*)$  /tftpboot/\L\1
rg //           /
a  ^/tftpboot/private/
";

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 3, 7));

/// File names as Linux loaders, Windows' boot manager and PXELINUX spell them.
const NAMES: [(&str, &[u8]); 3] = [
    ("plain", b"/boot/vmlinuz"),
    ("backslashes", br"\Boot\Fonts\wgl4_boot.ttf"),
    ("dots", b"efi64//../pxelinux.cfg/./01-52-54-00-ab-00-01"),
];

pub(crate) fn all(criterion: &mut Criterion) {
    let rules = Rules::from_map_file(MAP_FILE).expect("the map file is sound");
    for (spelling, name) in NAMES {
        criterion.bench_function(&format!("name/{spelling}"), |bencher| {
            bencher.iter(|| Name::from_request(black_box(name)));
        });
        criterion.bench_function(&format!("map file/{spelling}"), |bencher| {
            let query = Query::new(name, CLIENT, Direction::Read);
            bencher.iter(|| rules.decide(black_box(&query)));
        });
    }
    resolve(criterion);
    half_open(criterion);
}

/// Measures all checks of a request with the default policy.
fn resolve(criterion: &mut Criterion) {
    let policy = RequestPolicy::default();
    let request = Request {
        direction: Direction::Read,
        filename: b"/boot/vmlinuz",
        mode: Mode::Octet,
        options: Options::default(),
    };
    criterion.bench_function("policy/resolve by default", |bencher| {
        bencher.iter(|| policy.resolve(black_box(&request), CLIENT));
    });
}

fn half_open(criterion: &mut Criterion) {
    let limits = HalfOpenLimits::default();
    let now = crate::beginning();
    let mut quiet = HalfOpen::new(limits, [1, 2]);
    criterion.bench_function("half open/admit and settle", |bencher| {
        bencher.iter(|| match quiet.admit(black_box(CLIENT), (), now) {
            HalfOpenAdmission::Granted { entry, .. } => quiet.settle(entry),
            HalfOpenAdmission::Refused { .. } => None,
        });
    });
    // Each request comes from another prefix, so that each evicts the oldest.
    let mut flooded = HalfOpen::new(limits, [1, 2]);
    let mut address = 0_u32;
    criterion.bench_function("half open/admit in a flood", |bencher| {
        bencher.iter(|| {
            address = address.wrapping_add(256);
            flooded.admit(IpAddr::from(address.to_be_bytes()), (), now)
        });
    });
}
