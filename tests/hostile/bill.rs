//! What a victim receives because somebody has sent a request in its name.

use std::time::Duration;

use tests::client::Client;
use tests::host;
use tests::lab::{Lab, SERVERS};
use tests::packet::Packet;
use tests::server::Server;

/// The headers of IPv4 and UDP, in bytes.
const HEADERS: usize = 20 + 8;

/// Longer than any transfer goes on without an answer.
const PATIENCE: Duration = Duration::from_secs(90);

/// A host that answers nothing, and what it cost and received, in bytes of IPv4.
pub(crate) struct Victim {
    client: Client,
    name: String,
    pub(crate) spent: usize,
    pub(crate) received: usize,
    pub(crate) packets: Vec<Packet>,
}

impl Victim {
    /// A victim in whose name this is sent to port 69.
    #[track_caller]
    pub(crate) fn of(lab: &Lab, forged: &[u8]) -> Self {
        let client = lab.client(SERVERS[0]);
        let name = client.socket().local_addr().expect("bound").to_string();
        client.send_bytes(forged, (SERVERS[0], 69).into());
        Self {
            client,
            name,
            spent: HEADERS + forged.len(),
            received: 0,
            packets: Vec::new(),
        }
    }

    /// Waits for the first answer and sends one more packet to where it came from, as a forger would
    /// who has guessed the port.
    #[track_caller]
    pub(crate) fn and_then(mut self, forged: &str) -> Self {
        let answer = self.client.receive().expect("an answer");
        self.count(&answer);
        self.client.send(forged);
        let packet = Packet::from_text(forged).expect("a packet");
        self.spent += HEADERS + packet.to_bytes().len();
        self
    }

    /// How many bytes came for each that was spent.
    pub(crate) fn factor(&self) -> f64 {
        let [received, spent] =
            [self.received, self.spent].map(|bytes| u32::try_from(bytes).expect("not that much"));
        f64::from(received) / f64::from(spent)
    }

    /// Takes what has come until now.
    pub(crate) fn take(&mut self) {
        let socket = self.client.socket();
        socket.set_nonblocking(true).expect("a socket");
        while let Some(bytes) = self.client.receive() {
            self.count(&bytes);
        }
    }

    #[track_caller]
    fn count(&mut self, bytes: &[u8]) {
        self.received += HEADERS + bytes.len();
        let packet = Packet::from_bytes(bytes, bytes.len());
        self.packets.push(packet.expect("a server sends packets"));
    }
}

/// Lets all victims receive until the server has given each of them up.
#[track_caller]
pub(crate) fn run_up(server: &Server, victims: &mut [Victim]) {
    let given_up = || {
        victims.iter_mut().for_each(Victim::take);
        let log = server.output();
        victims.iter().all(|victim| log.contains(&victim.name))
    };
    assert!(
        host::wait_until(PATIENCE, given_up),
        "the server has not given up:\n{}",
        server.output()
    );
    victims.iter_mut().for_each(Victim::take);
}
