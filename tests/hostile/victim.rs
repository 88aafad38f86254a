//! A host whose address was forged, and the packets it receives.

use std::time::Duration;

use tests::client::Client;
use tests::host;
use tests::lab::{Lab, SERVERS};
use tests::packet::Packet;
use tests::server::Server;

/// The headers of IPv4 and UDP, in bytes.
const HEADERS: usize = 20 + 8;

/// Longer than any transfer lasts without an answer.
const PATIENCE: Duration = Duration::from_secs(90);

/// A host that never answers, with the bytes of IPv4 sent in its name and received by it.
pub(crate) struct Victim {
    client: Client,
    address: String,
    pub(crate) spent: usize,
    pub(crate) received: usize,
    pub(crate) packets: Vec<Packet>,
}

impl Victim {
    /// Sends `forged` to port 69 from the address of a new victim.
    #[track_caller]
    pub(crate) fn after(lab: &Lab, forged: &[u8]) -> Self {
        let client = lab.client(SERVERS[0]);
        let address = client.socket().local_addr().expect("bound").to_string();
        client.send_bytes(forged, (SERVERS[0], 69).into());
        Self {
            client,
            address,
            spent: HEADERS + forged.len(),
            received: 0,
            packets: Vec::new(),
        }
    }

    /// Waits for the first answer and sends one more packet to its port, as an attacker who guessed
    /// that port.
    #[track_caller]
    pub(crate) fn and_then(mut self, forged: &str) -> Self {
        let answer = self.client.receive().expect("an answer");
        self.count(&answer);
        self.client.send(forged);
        let packet = Packet::from_text(forged).expect("a packet");
        self.spent += HEADERS + packet.to_bytes().len();
        self
    }

    /// The bytes received for each byte sent.
    pub(crate) fn factor(&self) -> f64 {
        let [received, spent] =
            [self.received, self.spent].map(|bytes| u32::try_from(bytes).expect("less than 4 GiB"));
        f64::from(received) / f64::from(spent)
    }

    /// Counts the datagrams received until now.
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

/// Counts for all victims until the server has ended the transfer of each.
#[track_caller]
pub(crate) fn receive_all(server: &Server, victims: &mut [Victim]) {
    let ended = || {
        victims.iter_mut().for_each(Victim::take);
        let log = server.output();
        victims.iter().all(|victim| log.contains(&victim.address))
    };
    assert!(
        host::wait_until(PATIENCE, ended),
        "a transfer has not ended:\n{}",
        server.output()
    );
    victims.iter_mut().for_each(Victim::take);
}
