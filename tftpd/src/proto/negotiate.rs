//! Option negotiation, both sides ([RFC 2347](https://www.rfc-editor.org/rfc/rfc2347)).

use std::time::Duration;

use super::{
    block::Rollover,
    option::{Blksize, OackError, Options, Timeout, Utimeout, Windowsize},
};

/// The values in force for one transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Terms {
    /// Payload of a full block, in bytes.
    pub blksize: Blksize,
    /// Blocks per acknowledgement.
    pub windowsize: Windowsize,
    /// The longest time before a packet is repeated, if the client asked for one.
    pub timeout: Option<Duration>,
    /// The block number after 65535.
    pub rollover: Rollover,
}

impl Default for Terms {
    /// Returns the values of RFC 1350 without options: 512 bytes, one block at a time.
    fn default() -> Self {
        Self {
            blksize: Blksize::DEFAULT,
            windowsize: Windowsize::ONE,
            timeout: None,
            rollover: Rollover::Zero,
        }
    }
}

impl Terms {
    /// Sets [`blksize`](Self::blksize): bytes of payload in a full block.
    #[must_use]
    pub const fn with_blksize(mut self, blksize: Blksize) -> Self {
        self.blksize = blksize;
        self
    }

    /// Sets [`windowsize`](Self::windowsize): blocks per acknowledgement.
    #[must_use]
    pub const fn with_windowsize(mut self, windowsize: Windowsize) -> Self {
        self.windowsize = windowsize;
        self
    }

    /// Sets [`timeout`](Self::timeout): the longest time before a packet is repeated.
    #[must_use]
    pub fn with_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Sets [`rollover`](Self::rollover): the number after block 65535.
    #[must_use]
    pub const fn with_rollover(mut self, rollover: Rollover) -> Self {
        self.rollover = rollover;
        self
    }

    fn from_options(options: &Options) -> Self {
        Self {
            blksize: options
                .blksize
                .or(options.blksize2)
                .unwrap_or(Blksize::DEFAULT),
            windowsize: options.windowsize.unwrap_or(Windowsize::ONE),
            timeout: options
                .utimeout
                .map(Utimeout::duration)
                .or(options.timeout.map(Timeout::duration)),
            rollover: options.rollover.unwrap_or_default(),
        }
    }
}

/// The largest values that a server grants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct GrantLimits {
    /// Largest block, in bytes of payload.
    pub blksize: Blksize,
    /// Most blocks in a window.
    pub windowsize: Windowsize,
    /// Most bytes in a window. One block is always granted.
    pub window_bytes: u32,
}

impl GrantLimits {
    /// Sets [`blksize`](Self::blksize): the largest block, in bytes of payload.
    #[must_use]
    pub const fn with_blksize(mut self, blksize: Blksize) -> Self {
        self.blksize = blksize;
        self
    }

    /// Sets [`windowsize`](Self::windowsize): the most blocks in a window.
    #[must_use]
    pub const fn with_windowsize(mut self, windowsize: Windowsize) -> Self {
        self.windowsize = windowsize;
        self
    }

    /// Sets [`window_bytes`](Self::window_bytes): the most bytes in a window.
    #[must_use]
    pub const fn with_window_bytes(mut self, window_bytes: u32) -> Self {
        self.window_bytes = window_bytes;
        self
    }
}

impl Default for GrantLimits {
    /// Returns any block size, 64 blocks, 128 KiB: a window that fits the receive buffer of an
    /// ordinary client.
    fn default() -> Self {
        let windowsize = const { Windowsize::new(64).expect("64 is not zero") };
        Self {
            blksize: Blksize::MAX,
            windowsize,
            window_bytes: 128 * 1024,
        }
    }
}

/// Returns the server's answer to `asked`: the values in force and the options of the OACK. Without
/// options to acknowledge there is no OACK, and the transfer opens with DATA 1 or ACK 0
/// ([RFC 2347](https://www.rfc-editor.org/rfc/rfc2347)).
///
/// `tsize` is the size in bytes, if it is known: of the file to be read, or as the client announced
/// it for a file to be written.
pub fn grant(
    asked: &Options,
    limits: &GrantLimits,
    tsize: Option<u64>,
) -> (Terms, Option<Options>) {
    let blksize = asked.blksize.map(|blksize| blksize.min(limits.blksize));
    // With both block sizes asked for, blksize counts: it is not bound to powers of two.
    let blksize2 = match blksize {
        Some(_) => None,
        None => asked
            .blksize2
            .map(|blksize| blksize.min(limits.blksize).to_power_of_two()),
    };
    let block_bytes = u32::from(blksize.or(blksize2).unwrap_or(Blksize::DEFAULT).bytes());
    let window_cap = u16::try_from(limits.window_bytes / block_bytes).unwrap_or(u16::MAX);
    let granted = Options {
        blksize,
        tsize: asked.tsize.and(tsize),
        timeout: asked.timeout,
        blksize2,
        utimeout: asked.utimeout,
        rollover: asked.rollover,
        windowsize: asked.windowsize.map(|asked| {
            asked
                .min(limits.windowsize)
                .min(Windowsize::closest_to(window_cap))
        }),
    };
    (
        Terms::from_options(&granted),
        (!granted.is_empty()).then_some(granted),
    )
}

/// Checks the server's OACK against the client's request and returns the values in force.
///
/// # Errors
/// [`OackError`] if the server acknowledged an option that was not asked for, raised a value, or
/// changed the time-out (RFC 2349).
pub fn accept(asked: &Options, oack: &Options) -> Result<Terms, OackError> {
    let lowered = |name, asked: Option<u64>, got: Option<u64>| match (asked, got) {
        (None, Some(_)) => Err(OackError::Unknown),
        (Some(asked), Some(got)) if got > asked => Err(OackError::Raised(name)),
        _ => Ok(()),
    };
    let bytes = |blksize: Blksize| u64::from(blksize.bytes());
    let blocks = |window: Windowsize| u64::from(window.blocks());
    lowered("blksize", asked.blksize.map(bytes), oack.blksize.map(bytes))?;
    lowered(
        "windowsize",
        asked.windowsize.map(blocks),
        oack.windowsize.map(blocks),
    )?;
    lowered(
        "blksize2",
        asked.blksize2.map(bytes),
        oack.blksize2.map(bytes),
    )?;
    let unasked = [
        oack.tsize.is_some() && asked.tsize.is_none(),
        oack.timeout.is_some() && asked.timeout.is_none(),
        oack.utimeout.is_some() && asked.utimeout.is_none(),
        oack.rollover.is_some() && asked.rollover.is_none(),
    ];
    if unasked.contains(&true) {
        return Err(OackError::Unknown);
    }
    let changed = oack
        .timeout
        .is_some_and(|timeout| Some(timeout) != asked.timeout)
        || oack
            .utimeout
            .is_some_and(|timeout| Some(timeout) != asked.utimeout);
    if changed {
        return Err(OackError::TimeoutChanged);
    }
    Ok(Terms::from_options(oack))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Oack, Packet, Request};

    fn asked(options: &str) -> Options {
        let mut datagram = b"\x00\x01f\x00octet\x00".to_vec();
        for word in options.split_whitespace() {
            datagram.extend(word.replace('=', "\0").bytes().chain([0]));
        }
        match Packet::decode(&datagram) {
            Ok(Packet::Request(Request { options, .. })) => options,
            other => panic!("{other:?}"),
        }
    }

    fn oack(options: &str) -> Options {
        let body: Vec<u8> = options
            .split_whitespace()
            .flat_map(|word| word.replace('=', "\0").into_bytes().into_iter().chain([0]))
            .collect();
        Oack::decode(&body).expect("well formed").options
    }

    fn granted(options: &str) -> String {
        let (_, oack) = grant(&asked(options), &GrantLimits::default(), Some(70_000));
        oack.map_or_else(|| "none".to_owned(), |oack| oack.to_string())
    }

    #[test]
    fn the_answer_names_what_was_asked_and_nothing_else() {
        assert_eq!(
            granted("tsize=0 blksize=1468 windowsize=4"),
            "blksize=1468 tsize=70000 windowsize=4"
        );
        assert_eq!(granted("timeout=5"), "timeout=5");
        assert_eq!(
            granted("blksize2=1500 utimeout=50000 rollover=1"),
            "blksize2=1024 utimeout=50000 rollover=1"
        );
        assert_eq!(granted("blksize2=1500 blksize=1428"), "blksize=1428");
        assert_eq!(granted(""), "none");
        assert_eq!(granted("multicast= blksize=3"), "none");
    }

    #[test]
    fn a_size_that_is_not_known_is_left_out() {
        let (_, oack) = grant(&asked("tsize=0"), &GrantLimits::default(), None);
        assert_eq!(oack, None);
    }

    #[test]
    fn windows_are_bounded_in_blocks_and_in_bytes_but_never_below_one() {
        assert_eq!(granted("windowsize=65535"), "windowsize=64");
        assert_eq!(
            granted("blksize=8192 windowsize=64"),
            "blksize=8192 windowsize=16"
        );
        let tight = GrantLimits {
            window_bytes: 100,
            ..GrantLimits::default()
        };
        let (terms, _) = grant(&asked("blksize=1024 windowsize=9"), &tight, None);
        assert_eq!(
            (terms.blksize.bytes(), terms.windowsize.blocks()),
            (1024, 1)
        );
    }

    #[test]
    fn no_limits_are_so_wide_that_block_numbers_become_ambiguous() {
        let wide = GrantLimits {
            windowsize: Windowsize::MAX,
            window_bytes: u32::MAX,
            ..GrantLimits::default()
        };
        let (terms, _) = grant(&asked("blksize=8 windowsize=65535"), &wide, None);
        assert_eq!(terms.windowsize.blocks(), 32_767);
    }

    #[test]
    fn a_client_takes_less_than_it_asked_for_and_never_more() {
        let wanted = asked("blksize=1428 windowsize=16 tsize=0 timeout=2");
        let terms =
            accept(&wanted, &oack("blksize=512 windowsize=8 tsize=9")).expect("less is fine");
        assert_eq!(
            (
                terms.blksize.bytes(),
                terms.windowsize.blocks(),
                terms.timeout
            ),
            (512, 8, None)
        );
        assert_eq!(
            accept(&wanted, &oack("blksize=1429")),
            Err(OackError::Raised("blksize"))
        );
        assert_eq!(
            accept(&wanted, &oack("windowsize=17")),
            Err(OackError::Raised("windowsize"))
        );
        assert_eq!(
            accept(&wanted, &oack("timeout=3")),
            Err(OackError::TimeoutChanged)
        );
        assert_eq!(
            accept(&asked("blksize=512"), &oack("tsize=9")),
            Err(OackError::Unknown)
        );
        assert_eq!(
            accept(&asked("blksize=512"), &oack("windowsize=1")),
            Err(OackError::Unknown)
        );
    }
}
