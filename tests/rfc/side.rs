//! A server or a client as the endpoint of a trace.

use std::{collections::VecDeque, rc::Rc, time::Duration, time::Instant};

use tests::{
    exchange,
    exchange::Exchange,
    packet,
    trace::{Endpoint, Trace, content},
};
use tftpd::proto::{
    Direction, ErrorCode, GrantLimits, Input, Oack, OackError, Opening, Outcome, Packet,
    ReceiverConfig, Request, SenderConfig, Terms, accept, grant,
};

use crate::ends::End;

/// One side of a transfer: the state machine, and before the first packet of the peer the request.
pub(crate) struct Side {
    request: Vec<u8>,
    is_client: bool,
    file: Rc<[u8]>,
    terms: Terms,
    end: Option<End>,
    deadline: Option<Instant>,
    refused: Option<OackError>,
}

/// Runs a script against a server that has a file of `size` bytes, or stores one. Its limits are the
/// defaults, and it stays for two seconds after the last ACK.
#[track_caller]
pub(crate) fn server(size: usize, script: &str) -> Trace<Side> {
    let endpoint = Side::new(Vec::new(), false, size);
    let mut trace = Trace::new(endpoint, exchange::Side::Server);
    trace.run(script);
    trace
}

/// Runs a script against a client that sends the script's first packet, a request, and has a file of
/// `size` bytes, or stores one.
#[track_caller]
pub(crate) fn client(size: usize, script: &str) -> Trace<Side> {
    let exchange = Exchange::parse(script).expect("a script");
    let request = exchange.packets().next().expect("a request").1.to_bytes();
    let endpoint = Side::new(request, true, size);
    let mut trace = Trace::new(endpoint, exchange::Side::Client);
    trace.run(script);
    trace
}

/// Runs a script against both sides.
#[track_caller]
pub(crate) fn both(size: usize, script: &str) -> [Trace<Side>; 2] {
    [server(size, script), client(size, script)]
}

/// Returns the error with which a client refuses the OACK at the end of the script.
#[track_caller]
pub(crate) fn refusal(script: &str) -> Option<OackError> {
    client(0, script).endpoint().refused
}

/// Decodes a datagram with a request.
#[track_caller]
pub(crate) fn request_of(datagram: &[u8]) -> Request<'_> {
    match Packet::decode(datagram) {
        Ok(Packet::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

/// The bytes of a packet, for instance of `ACK 1`.
#[track_caller]
pub(crate) fn bytes(packet: &str) -> Vec<u8> {
    packet::Packet::from_text(packet)
        .expect("a packet")
        .to_bytes()
}

impl Side {
    fn new(request: Vec<u8>, is_client: bool, size: usize) -> Self {
        Self {
            request,
            is_client,
            file: content(size).into(),
            terms: Terms::default(),
            end: None,
            deadline: None,
            refused: None,
        }
    }

    /// Ends the transfer from outside of the protocol, as a full disk does.
    pub(crate) fn abort(&mut self, code: ErrorCode, now: Instant) {
        self.input(Input::Abort(code), now);
    }

    fn input(&mut self, input: Input<'_>, now: Instant) {
        if let Some(end) = &mut self.end {
            end.handle(input, now);
        }
    }

    fn accept_request(&mut self, datagram: &[u8], now: Instant) {
        let request = request_of(datagram);
        let size = match request.direction {
            Direction::Read => Some(self.file.len() as u64),
            Direction::Write => request.options.tsize,
        };
        let (terms, oack) = grant(&request.options, &GrantLimits::default(), size);
        self.terms = terms;
        self.end = Some(match request.direction {
            Direction::Read => {
                let config = self.sender_config();
                End::sending(config, oack, Rc::clone(&self.file), now)
            }
            Direction::Write => self.receiver(oack.map_or(Opening::AckRequest, Opening::Oack), now),
        });
    }

    /// Processes the first datagram of the server, with or without accepted options.
    fn accept_answer(&mut self, datagram: &[u8], now: Instant) -> Result<(), OackError> {
        let request = std::mem::take(&mut self.request);
        let request = request_of(&request);
        let oack = match Packet::decode(datagram) {
            Ok(Packet::Oack(body)) => Some(Oack::decode(body)?),
            _ => None,
        };
        if let Some(oack) = &oack {
            self.terms = accept(&request.options, &oack.options)?;
        }
        self.end = Some(match (request.direction, &oack) {
            (Direction::Write, _) => {
                let config = self.sender_config();
                End::sending(config, None, Rc::clone(&self.file), now)
            }
            (Direction::Read, Some(_)) => self.receiver(Opening::Ack, now),
            (Direction::Read, None) => {
                let mut receiver = self.receiver(Opening::AwaitData, now);
                receiver.handle(Input::Datagram(datagram), now);
                receiver
            }
        });
        Ok(())
    }

    fn sender_config(&self) -> SenderConfig {
        SenderConfig::new(self.file.len() as u64).with_terms(self.terms)
    }

    fn receiver(&self, opening: Opening, now: Instant) -> End {
        let config = ReceiverConfig::default()
            .with_terms(self.terms)
            .with_dally(Duration::from_secs(2));
        End::receiving(config, opening, now)
    }
}

impl Endpoint for Side {
    type Outcome = Outcome;

    fn receive(&mut self, datagram: &[u8], now: Instant) {
        if self.end.is_some() {
            self.input(Input::Datagram(datagram), now);
        } else if self.is_client {
            self.refused = self.accept_answer(datagram, now).err();
        } else {
            self.accept_request(datagram, now);
        }
    }

    fn expire(&mut self, now: Instant) {
        self.input(Input::Timer, now);
    }

    fn poll(&mut self, now: Instant, sent: &mut VecDeque<Vec<u8>>) {
        match &mut self.end {
            Some(end) => {
                self.deadline = end.drain(now, |datagram| sent.push_back(datagram));
            }
            None if self.is_client && self.refused.is_none() => {
                sent.push_back(self.request.clone());
            }
            None => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn blksize(&self) -> usize {
        self.terms.blksize.bytes().into()
    }

    fn stored(&self) -> &[u8] {
        self.end.as_ref().map_or(&[], |end| &end.stored)
    }

    fn outcome(&self) -> Option<&Outcome> {
        self.end.as_ref()?.transfer.outcome()
    }
}
