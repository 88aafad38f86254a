//! Many concurrent transfers of different files: no client receives a block of another file.

use std::time::Duration;

use tests::lab::{Lab, SERVERS};
use tests::{host, peers};

use crate::reader::{FATES, Fate, Reader, State, content};

const CLIENTS: u32 = 200;

/// The limit for the end of all transfers: a client that vanished is detected by a retransmission.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn two_hundred_transfers_never_mix_and_release_all_ports() {
    if peers::available(&["ip"]) {
        run("", &[]);
    }
}

#[test]
fn two_hundred_transfers_through_one_port_never_mix() {
    if peers::available(&["ip"]) {
        // ICMP errors reach the listening socket, which belongs to no client: transfers of clients that
        // vanished end by a timeout. And a client that restarts cannot distinguish late blocks of its
        // first file from the others: all come from the same port.
        let left_out = [Fate::Vanishes, Fate::FallsSilent, Fate::Reboots];
        run("--single-port", &left_out);
    }
}

/// Runs all clients but those of the fates in `except`.
#[track_caller]
fn run(arguments: &str, except: &[Fate]) {
    let lab = Lab::new();
    for file in (0..CLIENTS).chain(1000..1000 + CLIENTS) {
        lab.file(&format!("file-{file}"), content(file));
    }
    let server = lab.serve(arguments);
    // After a first transfer, all threads of the server run.
    assert_eq!(lab.client(SERVERS[0]).fetch("file-0"), content(0));
    let descriptors = server.process().descriptors();
    let fates: Vec<_> = FATES
        .into_iter()
        .filter(|fate| !except.contains(fate))
        .collect();
    let mut readers: Vec<_> = (0..CLIENTS)
        .zip(fates.iter().cycle())
        .zip(SERVERS.iter().cycle())
        .map(|((file, fate), server)| {
            let shape = match file / 7 % 4 {
                0 => (512, 1),
                1 => (64, 8),
                2 => (1400, 2),
                _ => (512, 4),
            };
            Reader::new(lab.client(*server), *fate, file, shape)
        })
        .collect();
    readers.iter_mut().for_each(Reader::begin);
    interleave(&mut readers);
    readers.iter().for_each(Reader::check_read);
    drop(readers);
    let released = || {
        lab.there.udp_ports().iter().all(|port| *port == 69)
            && server.process().descriptors() <= descriptors
    };
    assert!(
        host::wait_until(PATIENCE, released),
        "ports {:?}; {} descriptors, {descriptors} at first\n{}",
        lab.there.udp_ports(),
        server.process().descriptors(),
        server.output()
    );
    server.stop();
}

/// Runs single steps of the clients in random order until all have ended.
#[track_caller]
fn interleave(readers: &mut [Reader]) {
    let mut running: Vec<usize> = (0..readers.len()).collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    while !running.is_empty() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let chosen = usize::try_from(state % running.len() as u64).unwrap_or(0);
        let reader = running
            .get(chosen)
            .and_then(|index| readers.get_mut(*index));
        if reader.is_none_or(|reader| reader.step() == State::Ended) {
            running.swap_remove(chosen);
        }
    }
}
