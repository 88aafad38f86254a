//! A portmapper that is killed at any moment loses no accepted registration.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rpc_portmap::client::{Client, Rpcbind};
use rpc_portmap::rpcbind::{Name, Rpcb};
use tokio::process::{Child, Command};

#[tokio::test]
async fn what_was_accepted_is_there_after_a_kill() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut accepted = Vec::new();
    let mut next = 0;
    // Killed after this many answers, with one more request in flight.
    for survives in [0, 1, 13, 200, 57] {
        let mut daemon = start(directory.path());
        let rpcbind = connect(directory.path()).await;
        let found = programs(&rpcbind).await;
        let unanswered = found.iter().filter(|program| !accepted.contains(*program));
        assert!(
            unanswered.count() <= 1,
            "besides, only the request in flight may be there"
        );
        assert!(accepted.iter().all(|program| found.contains(program)));
        accepted = found;
        for _ in 0..survives {
            assert!(rpcbind.set(&request(next)).await.expect("an answer"));
            accepted.push(request(next).program.get());
            next += 1;
        }
        let under_way = rpcbind.clone();
        let last = request(next);
        next += 1;
        let call = tokio::spawn(async move { under_way.set(&last).await });
        tokio::task::yield_now().await;
        daemon.kill().await.expect("it ran");
        if matches!(call.await.expect("no panic"), Ok(true)) {
            accepted.push(request(next - 1).program.get());
        }
    }
}

#[tokio::test]
async fn a_second_portmapper_names_the_listener_in_use_and_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut daemon = start(directory.path());
    let rpcbind = connect(directory.path()).await;
    let second = command(directory.path()).stderr(Stdio::piped()).output();
    let within = Duration::from_secs(20);
    let second = tokio::time::timeout(within, second)
        .await
        .expect("it ends")
        .expect("it runs");
    assert_eq!(second.status.code(), Some(69));
    let stderr = String::from_utf8_lossy(&second.stderr);
    assert!(
        stderr.contains("error: cannot listen on the unix socket"),
        "{stderr}"
    );
    assert!(stderr.contains("hint: "), "{stderr}");
    rpcbind.time().await.expect("the first one still answers");
    daemon.kill().await.expect("it ran");
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rpc-portmap"));
    command
        .args([
            "serve",
            "--log",
            "error",
            "--listen",
            "127.0.0.1:0",
            "--socket",
        ])
        .arg(directory.join("sock"))
        .arg("--state")
        .arg(directory.join("state"))
        .kill_on_drop(true);
    command
}

fn start(directory: &Path) -> Child {
    command(directory).spawn().expect("it runs")
}

async fn connect(directory: &Path) -> Rpcbind {
    let name = directory.join("sock").display().to_string();
    let connecting = async {
        loop {
            match Client::unix(&name).await {
                Ok(client) => return Rpcbind::new(client),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let within = Duration::from_secs(20);
    tokio::time::timeout(within, connecting)
        .await
        .expect("it listens")
}

async fn programs(rpcbind: &Rpcbind) -> Vec<u32> {
    let entries = rpcbind.dump().await.expect("a list");
    let programs = entries.iter().map(|entry| entry.program.get());
    programs.filter(|program| *program != 100_000).collect()
}

fn request(number: u32) -> Rpcb {
    Rpcb {
        program: (0x2000_0000 + number).into(),
        version: 1.into(),
        netid: Name::truncated("udp"),
        address: Name::truncated("0.0.0.0.200.1"),
        owner: Name::default(),
    }
}
