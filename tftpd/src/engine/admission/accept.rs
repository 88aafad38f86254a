//! From a request to a transfer: policy, backend, channel, negotiation.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{rejection::AcceptError, request::Incoming};
use crate::{
    backend::{Backend, Content, OpenError, Opened, Upload},
    engine::{
        record::Rejection,
        transfer::{
            About, File, Transfer,
            channel::{Channel, OpenChannel},
            read::Reading,
            source::{Source, Text},
            write::Writing,
        },
    },
    policy::{Name, RequestPolicy},
    proto::{
        self, Blksize, Direction, ErrorCode, GrantLimits, Mode, Opening, Options, Patience,
        Receiver, ReceiverConfig, Sender, SenderConfig, Terms, grant,
    },
};

/// The configuration of a server, as far as it concerns single requests.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) policy: RequestPolicy,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) limits: GrantLimits,
    pub(crate) patience: Patience,
    /// Transfers use the listening port.
    pub(crate) single_port: bool,
    /// Requests to a broadcast address are answered.
    pub(crate) broadcast: bool,
}

/// Makes transfers of requests.
pub(super) struct Acceptor<O> {
    pub(super) service: Service,
    channels: O,
}

/// An open file.
enum Handle {
    Read(Content),
    Write(Box<dyn Upload>),
}

/// Time that a finished upload waits for a repetition of its last block: more than two repetitions
/// of a client that repeats after a second, as most do.
const DALLY: Duration = Duration::from_secs(3);

impl<O: OpenChannel> Acceptor<O> {
    pub(super) fn new(service: Service, channels: O) -> Self {
        Self { service, channels }
    }

    /// Returns the transfer of a request, ready to send its first reply. `content` is passed in
    /// when it was pending before.
    pub(super) fn accept(
        &self,
        incoming: &Incoming<'_>,
        content: Option<Result<Content, OpenError>>,
        now: Instant,
    ) -> Result<Box<Transfer<O::Channel>>, AcceptError> {
        let request = &incoming.request;
        if request.mode == Mode::Mail {
            let code = ErrorCode::IllegalOperation;
            return Err(AcceptError::rejected(Rejection::Mode, code));
        }
        let client = incoming.path.client.ip();
        let resolved = self.service.policy.resolve(request, client)?;
        let handle = match content {
            Some(content) => content.map(Handle::Read).map_err(AcceptError::from),
            None => self.open(incoming, &resolved.name),
        };
        let file = other_name(&resolved.name, request.filename);
        match handle.and_then(|handle| self.begin(incoming, handle, now)) {
            Ok((channel, machine, body, terms)) => {
                let mut local = incoming.path.local;
                local.set_port(channel.port());
                let about = About {
                    client: incoming.path.client,
                    local,
                    path: request.filename.into(),
                    file,
                    terms,
                    started: now,
                    digest: incoming.digest,
                };
                Ok(Box::new(Transfer::new(channel, machine, body, about)))
            }
            Err(error) => Err(error.with_file(file, resolved.quiet_missing)),
        }
    }

    fn open(&self, incoming: &Incoming<'_>, name: &Name) -> Result<Handle, AcceptError> {
        let (request, client) = (&incoming.request, incoming.path.client);
        let backend = &self.service.backend;
        match request.direction {
            Direction::Read => match backend.open_read(name, client)? {
                Opened::Ready(content) => Ok(Handle::Read(content)),
                Opened::Pending(pending) => Err(AcceptError::Pending(pending)),
            },
            Direction::Write => {
                // The size of netascii text is not the size of the file.
                let size = request.options.tsize;
                let announced = size.filter(|_| request.mode == Mode::Octet);
                Ok(Handle::Write(backend.open_write(name, client, announced)?))
            }
        }
    }

    /// Opens the channel, grants the options, and makes the state machine.
    fn begin(
        &self,
        incoming: &Incoming<'_>,
        handle: Handle,
        now: Instant,
    ) -> Result<(O::Channel, proto::Transfer, File, Terms), AcceptError> {
        let (request, path) = (&incoming.request, incoming.path);
        let tsize = match &handle {
            // The size as netascii is unknown until the file has been read.
            Handle::Read(content) => content.size().filter(|_| request.mode == Mode::Octet),
            Handle::Write(_) => request.options.tsize,
        };
        let mut channel = self.channels.open(path.local, path.client, path.listener)?;
        let limits = self.limits(&request.options, &channel);
        let (terms, oack) = grant(&request.options, &limits, tsize);
        channel.segment(terms.blksize, terms.windowsize);
        let (machine, file) = match handle {
            Handle::Read(content) => self.reading(content, incoming, terms, oack, now),
            Handle::Write(upload) => self.writing(upload, incoming, terms, oack, now),
        };
        Ok((channel, machine, file, terms))
    }

    /// Returns the limits on this path: blocks that would be fragmented are not granted. Every path
    /// carries 512 bytes, so the MTU is asked for only above.
    fn limits(&self, options: &Options, channel: &O::Channel) -> GrantLimits {
        let limits = self.service.limits;
        let asked = options.blksize.max(options.blksize2);
        let fits = asked
            .filter(|asked| *asked > Blksize::DEFAULT)
            .and_then(|_| channel.whole_blksize());
        GrantLimits {
            blksize: fits.map_or(limits.blksize, |fits| fits.min(limits.blksize)),
            ..limits
        }
    }

    fn reading(
        &self,
        content: Content,
        incoming: &Incoming<'_>,
        terms: Terms,
        oack: Option<Options>,
        now: Instant,
    ) -> (proto::Transfer, File) {
        let is_netascii = incoming.request.mode == Mode::Netascii;
        let config = SenderConfig {
            terms,
            patience: self.service.patience,
            jitter_seed: jitter_seed(incoming),
            ..SenderConfig::new(content.size().filter(|_| !is_netascii))
        };
        let source = if is_netascii {
            Source::Netascii(Text::new(content))
        } else {
            Source::Octet(content)
        };
        let sender = Sender::new(config, oack, now);
        (sender.into(), File::Read(Reading::new(source)))
    }

    fn writing(
        &self,
        upload: Box<dyn Upload>,
        incoming: &Incoming<'_>,
        terms: Terms,
        oack: Option<Options>,
        now: Instant,
    ) -> (proto::Transfer, File) {
        let config = ReceiverConfig {
            terms,
            patience: self.service.patience,
            dally: DALLY,
            jitter_seed: jitter_seed(incoming),
        };
        let opening = oack.map_or(Opening::AckRequest, Opening::Oack);
        let receiver = Receiver::new(config, opening, now);
        let is_netascii = incoming.request.mode == Mode::Netascii;
        (
            receiver.into(),
            File::Write(Writing::new(upload, is_netascii)),
        )
    }
}

fn jitter_seed(incoming: &Incoming<'_>) -> u32 {
    u32::try_from(incoming.digest >> 32).unwrap_or(1)
}

/// Returns the name of the file if it differs from the one sent, without a leading slash.
fn other_name(name: &Name, sent: &[u8]) -> Option<Box<[u8]>> {
    let sent = sent.strip_prefix(b"/").unwrap_or(sent);
    (name.as_bytes() != sent).then(|| name.as_bytes().into())
}
