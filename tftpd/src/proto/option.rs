//! The options of a request and of an OACK, and the values they may take.

use std::{fmt, num::NonZeroU8, num::NonZeroU16, time::Duration};

use super::block::Rollover;

/// Bytes of payload in a full DATA packet, 8 to 65464
/// ([RFC 2348](https://www.rfc-editor.org/rfc/rfc2348)).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Blksize(u16);

impl Blksize {
    /// The block size without the option: 512 bytes.
    pub const DEFAULT: Self = Self(512);
    /// The smallest, 8 bytes.
    pub const MIN: Self = Self(8);
    /// The largest, 65464 bytes: a UDP datagram over IPv4 less all headers.
    pub const MAX: Self = Self(65464);

    /// Returns the block size of `bytes`; `None` outside of 8 to 65464.
    pub const fn new(bytes: u16) -> Option<Self> {
        if bytes >= Self::MIN.0 && bytes <= Self::MAX.0 {
            Some(Self(bytes))
        } else {
            None
        }
    }

    /// Returns the size in bytes.
    pub const fn bytes(self) -> u16 {
        self.0
    }

    /// Returns the largest power of two that is not larger.
    #[must_use]
    pub const fn to_power_of_two(self) -> Self {
        Self(1 << self.0.ilog2())
    }
}

/// Blocks sent before an acknowledgement is due, 1 to 32767
/// ([RFC 7440](https://www.rfc-editor.org/rfc/rfc7440)).
///
/// RFC 7440 allows 65535 blocks. Block numbers have 16 bits, so that with more than half of them in
/// flight a late copy of an old packet looks like a new one: an old ACK looks like one for blocks
/// that never arrived. This implementation neither asks for nor grants more.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Windowsize(NonZeroU16);

impl Windowsize {
    /// One block per acknowledgement, as in RFC 1350.
    pub const ONE: Self = Self(NonZeroU16::MIN);
    /// The largest, 32767 blocks.
    pub const MAX: Self = Self(NonZeroU16::new(u16::MAX / 2).expect("not zero"));

    /// Returns the window of `blocks`; `None` if it is 0 or larger than [`MAX`](Self::MAX).
    pub const fn new(blocks: u16) -> Option<Self> {
        match NonZeroU16::new(blocks) {
            Some(blocks) if blocks.get() <= Self::MAX.blocks() => Some(Self(blocks)),
            _ => None,
        }
    }

    /// Returns the window closest to `blocks`: 0 gives [`ONE`](Self::ONE), too many give
    /// [`MAX`](Self::MAX).
    pub const fn closest_to(blocks: u16) -> Self {
        match Self::new(blocks) {
            Some(window) => window,
            None if blocks == 0 => Self::ONE,
            None => Self::MAX,
        }
    }

    /// Returns the number of blocks.
    pub const fn blocks(self) -> u16 {
        self.0.get()
    }
}

/// Seconds before a packet is repeated, 1 to 255
/// ([RFC 2349](https://www.rfc-editor.org/rfc/rfc2349)).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timeout(NonZeroU8);

impl Timeout {
    /// Returns a time-out of `seconds`; `None` for 0.
    pub const fn new(seconds: u8) -> Option<Self> {
        match NonZeroU8::new(seconds) {
            Some(seconds) => Some(Self(seconds)),
            None => None,
        }
    }

    /// Returns the time-out as a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0.get() as u64)
    }
}

/// Microseconds before a packet is repeated, 10,000 to 255,000,000 (`utimeout` of tftp-hpa).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Utimeout(u32);

impl Utimeout {
    /// Returns a time-out of `microseconds`; `None` out of bounds.
    pub const fn new(microseconds: u32) -> Option<Self> {
        if microseconds >= 10_000 && microseconds <= 255_000_000 {
            Some(Self(microseconds))
        } else {
            None
        }
    }

    /// Returns the time-out as a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_micros(self.0 as u64)
    }
}

/// The options that this implementation supports, as asked for or as acknowledged.
///
/// ```
/// use tftpd::proto::{Blksize, Options, Windowsize};
///
/// let options = Options::default()
///     .with_blksize(Blksize::new(1428))
///     .with_windowsize(Windowsize::new(16))
///     .with_tsize(0);
/// assert_eq!(options.to_string(), "blksize=1428 tsize=0 windowsize=16");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// Block size in bytes of payload.
    pub blksize: Option<Blksize>,
    /// Size of the file in bytes; 0 in a read request, which asks for it.
    pub tsize: Option<u64>,
    /// Seconds before a packet is repeated.
    pub timeout: Option<Timeout>,
    /// Blocks per acknowledgement.
    pub windowsize: Option<Windowsize>,
    /// Block size in bytes, of which only powers of two are granted (tftp-hpa).
    pub blksize2: Option<Blksize>,
    /// Microseconds before a packet is repeated (tftp-hpa).
    pub utimeout: Option<Utimeout>,
    /// The number after block 65535 (tftp-hpa).
    pub rollover: Option<Rollover>,
}

impl Options {
    /// Sets [`blksize`](Self::blksize): bytes of payload in a full block.
    #[must_use]
    pub fn with_blksize(mut self, blksize: impl Into<Option<Blksize>>) -> Self {
        self.blksize = blksize.into();
        self
    }

    /// Sets [`tsize`](Self::tsize): the size of the file in bytes.
    #[must_use]
    pub fn with_tsize(mut self, tsize: impl Into<Option<u64>>) -> Self {
        self.tsize = tsize.into();
        self
    }

    /// Sets [`timeout`](Self::timeout): seconds before a packet is repeated.
    #[must_use]
    pub fn with_timeout(mut self, timeout: impl Into<Option<Timeout>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Sets [`windowsize`](Self::windowsize): blocks per acknowledgement.
    #[must_use]
    pub fn with_windowsize(mut self, windowsize: impl Into<Option<Windowsize>>) -> Self {
        self.windowsize = windowsize.into();
        self
    }

    /// Sets [`blksize2`](Self::blksize2): bytes of payload, of which a power of two is granted.
    #[must_use]
    pub fn with_blksize2(mut self, blksize2: impl Into<Option<Blksize>>) -> Self {
        self.blksize2 = blksize2.into();
        self
    }

    /// Sets [`utimeout`](Self::utimeout): microseconds before a packet is repeated.
    #[must_use]
    pub fn with_utimeout(mut self, utimeout: impl Into<Option<Utimeout>>) -> Self {
        self.utimeout = utimeout.into();
        self
    }

    /// Sets [`rollover`](Self::rollover): the number after block 65535.
    #[must_use]
    pub fn with_rollover(mut self, rollover: impl Into<Option<Rollover>>) -> Self {
        self.rollover = rollover.into();
        self
    }

    /// Returns true if no option is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Decodes the options of a request by the rules of RFC 2347 for servers: an option that is
    /// unknown, malformed or out of bounds counts as not asked. A name that comes twice counts
    /// once, with its first value; a block size above the maximum means the maximum, and so does a
    /// window that RFC 7440 allows.
    pub(super) fn from_request(bytes: &[u8]) -> Self {
        let mut options = Self::default();
        let mut seen = Seen::default();
        for (name, value) in Pairs(bytes) {
            let Some(name) = Name::from_wire(name) else {
                continue;
            };
            if !seen.first(name) {
                continue;
            }
            let Some(value) = decimal(value) else {
                continue;
            };
            // A failure leaves the option unset; the request goes on without it.
            let _ = options.set(name, name.lowered(value));
        }
        options
    }

    /// Decodes the options of an OACK, each of which must be known and in bounds.
    pub(super) fn from_oack(bytes: &[u8]) -> Result<Self, OackError> {
        let mut options = Self::default();
        let mut seen = Seen::default();
        for (name, value) in Pairs(bytes) {
            let name = Name::from_wire(name).ok_or(OackError::Unknown)?;
            if !seen.first(name) {
                return Err(OackError::Twice(name.text()));
            }
            let value = decimal(value).ok_or(OackError::BadValue(name.text()))?;
            options
                .set(name, value)
                .map_err(|OutOfBounds| OackError::BadValue(name.text()))?;
        }
        Ok(options)
    }

    /// Appends `name NUL value NUL` for each option that is set.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut pair = |name: Name, value: Option<u64>| {
            if let Some(value) = value {
                out.extend_from_slice(name.text().as_bytes());
                out.push(0);
                out.extend_from_slice(value.to_string().as_bytes());
                out.push(0);
            }
        };
        pair(
            Name::Blksize,
            self.blksize.map(|blksize| blksize.bytes().into()),
        );
        pair(Name::Tsize, self.tsize);
        pair(
            Name::Timeout,
            self.timeout.map(|timeout| timeout.duration().as_secs()),
        );
        pair(
            Name::Windowsize,
            self.windowsize.map(|window| window.blocks().into()),
        );
        pair(
            Name::Blksize2,
            self.blksize2.map(|blksize| blksize.bytes().into()),
        );
        pair(
            Name::Utimeout,
            self.utimeout.map(|timeout| timeout.0.into()),
        );
        pair(
            Name::Rollover,
            self.rollover
                .map(|rollover| u64::from(rollover == Rollover::One)),
        );
    }

    fn set(&mut self, name: Name, value: u64) -> Result<(), OutOfBounds> {
        match name {
            Name::Blksize => {
                self.blksize = Some(small(value).and_then(Blksize::new).ok_or(OutOfBounds)?);
            }
            Name::Tsize => self.tsize = Some(value),
            Name::Timeout => {
                let seconds = u8::try_from(value).ok().and_then(Timeout::new);
                self.timeout = Some(seconds.ok_or(OutOfBounds)?);
            }
            Name::Windowsize => {
                self.windowsize = Some(small(value).and_then(Windowsize::new).ok_or(OutOfBounds)?);
            }
            Name::Blksize2 => {
                self.blksize2 = Some(small(value).and_then(Blksize::new).ok_or(OutOfBounds)?);
            }
            Name::Utimeout => {
                let microseconds = u32::try_from(value).ok().and_then(Utimeout::new);
                self.utimeout = Some(microseconds.ok_or(OutOfBounds)?);
            }
            Name::Rollover => {
                self.rollover = Some(match value {
                    0 => Rollover::Zero,
                    1 => Rollover::One,
                    _ => return Err(OutOfBounds),
                });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Options {
    /// Formats as `blksize=1468 tsize=0`, in the order of the fields; empty if none is set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.encode(&mut text);
        let text = String::from_utf8_lossy(&text);
        let mut words = text.split_terminator('\0');
        let mut gap = "";
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            write!(f, "{gap}{name}={value}")?;
            gap = " ";
        }
        Ok(())
    }
}

/// The reason why an OACK cannot be accepted: the fault of the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OackError {
    /// An option that was not asked for.
    #[error("the server acknowledged an option that was not asked for")]
    Unknown,
    /// The same option more than once.
    #[error("the server acknowledged {0} twice")]
    Twice(&'static str),
    /// A value that is no number or out of bounds.
    #[error("the server acknowledged {0} with a value that cannot be used")]
    BadValue(&'static str),
    /// A value that the protocol does not let the server choose.
    #[error("the server raised {0} above what was asked")]
    Raised(&'static str),
    /// The time-out must come back unchanged (RFC 2349).
    #[error("the server changed the time-out")]
    TimeoutChanged,
}

struct OutOfBounds;

#[derive(Clone, Copy)]
enum Name {
    Blksize,
    Tsize,
    Timeout,
    Windowsize,
    Blksize2,
    Utimeout,
    Rollover,
}

impl Name {
    const ALL: [Self; 7] = [
        Self::Blksize,
        Self::Tsize,
        Self::Timeout,
        Self::Windowsize,
        Self::Blksize2,
        Self::Utimeout,
        Self::Rollover,
    ];

    /// Names are case-insensitive (RFC 2347).
    fn from_wire(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|known| name.eq_ignore_ascii_case(known.text().as_bytes()))
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Blksize => "blksize",
            Self::Tsize => "tsize",
            Self::Timeout => "timeout",
            Self::Windowsize => "windowsize",
            Self::Blksize2 => "blksize2",
            Self::Utimeout => "utimeout",
            Self::Rollover => "rollover",
        }
    }

    /// Returns the value used for `value`: a server may lower only the sizes of blocks and windows
    /// without asking again (RFC 2348, RFC 7440).
    fn lowered(self, value: u64) -> u64 {
        match self {
            Self::Blksize | Self::Blksize2 => value.min(Blksize::MAX.bytes().into()),
            Self::Windowsize if value <= u16::MAX.into() => {
                value.min(Windowsize::MAX.blocks().into())
            }
            _ => value,
        }
    }
}

/// The options seen so far, one bit each.
#[derive(Default)]
struct Seen(u8);

impl Seen {
    fn first(&mut self, name: Name) -> bool {
        let bit = 1 << name as u8;
        let first = self.0 & bit == 0;
        self.0 |= bit;
        first
    }
}

/// An iterator over `name NUL value NUL …`. It stops at the first incomplete pair, so that padding
/// and garbage after the options do no harm.
struct Pairs<'a>(&'a [u8]);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = split_string(self.0)?;
        let (value, rest) = split_string(rest)?;
        self.0 = rest;
        Some((name, value))
    }
}

/// Splits off a string that ends in NUL; `None` without the NUL.
pub(super) fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    let (string, rest) = bytes.split_at_checked(end)?;
    Some((string, rest.get(1..)?))
}

/// Parses ASCII digits, nothing else; a number too large for 64 bits becomes the largest.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, &digit| {
        let digit = char::from(digit).to_digit(10)?;
        Some(number.saturating_mul(10).saturating_add(digit.into()))
    })
}

fn small(value: u64) -> Option<u16> {
    u16::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(bytes: &[u8]) -> String {
        Options::from_request(bytes).to_string()
    }

    #[test]
    fn the_four_options_are_read_in_any_order_and_case() {
        assert_eq!(
            asked(b"WindowSize\x004\x00TSIZE\x000\x00timeout\x005\x00blksize\x001468\x00"),
            "blksize=1468 tsize=0 timeout=5 windowsize=4"
        );
    }

    #[test]
    fn what_is_unknown_malformed_or_out_of_bounds_counts_as_not_asked() {
        assert_eq!(asked(b"multicast\x00\x00tsize\x000\x00"), "tsize=0");
        assert_eq!(asked(b"blksize\x007\x00"), "");
        assert_eq!(asked(b"blksize\x00abc\x00"), "");
        assert_eq!(asked(b"blksize\x00-1\x00"), "");
        assert_eq!(asked(b"blksize\x00+512\x00"), "");
        assert_eq!(asked(b"blksize\x00\x00"), "");
        assert_eq!(asked(b"timeout\x000\x00"), "");
        assert_eq!(asked(b"timeout\x00256\x00"), "");
        assert_eq!(asked(b"windowsize\x000\x00"), "");
        assert_eq!(asked(b"windowsize\x0065536\x00"), "");
    }

    #[test]
    fn a_block_size_above_the_maximum_means_the_maximum() {
        assert_eq!(asked(b"blksize\x0065465\x00"), "blksize=65464");
        assert_eq!(
            asked(b"blksize\x0099999999999999999999999\x00"),
            "blksize=65464"
        );
    }

    #[test]
    fn a_window_of_more_than_half_of_all_block_numbers_means_that_half() {
        assert_eq!(asked(b"windowsize\x0032767\x00"), "windowsize=32767");
        assert_eq!(asked(b"windowsize\x0032768\x00"), "windowsize=32767");
        assert_eq!(asked(b"windowsize\x0065535\x00"), "windowsize=32767");
        assert_eq!(
            Options::from_oack(b"windowsize\x0032768\x00"),
            Err(OackError::BadValue("windowsize"))
        );
        assert_eq!([0, 32_768, 65_535].map(Windowsize::new), [None; 3]);
        assert_eq!(
            [0, 7, 65_535].map(|blocks| Windowsize::closest_to(blocks).blocks()),
            [1, 7, 32_767]
        );
    }

    #[test]
    fn an_option_that_comes_twice_counts_once_with_its_first_value() {
        assert_eq!(
            asked(b"blksize\x001024\x00blksize\x00512\x00"),
            "blksize=1024"
        );
        assert_eq!(asked(b"blksize\x00bad\x00blksize\x00512\x00"), "");
    }

    #[test]
    fn an_incomplete_pair_ends_the_list_and_spoils_nothing() {
        assert_eq!(asked(b"tsize\x000\x00blksize\x00512"), "tsize=0");
        assert_eq!(asked(b"tsize\x000\x00\x00\x00"), "tsize=0");
        assert_eq!(asked(b"tsize\x000\x00garbage"), "tsize=0");
    }

    #[test]
    fn sizes_beyond_four_gigabytes_are_kept() {
        assert_eq!(asked(b"tsize\x005368709120\x00"), "tsize=5368709120");
    }

    #[test]
    fn an_oack_must_be_usable_in_every_part() {
        assert_eq!(
            Options::from_oack(b"multicast\x00\x00"),
            Err(OackError::Unknown)
        );
        assert_eq!(
            Options::from_oack(b"blksize\x007\x00"),
            Err(OackError::BadValue("blksize"))
        );
        assert_eq!(
            Options::from_oack(b"blksize\x0065465\x00"),
            Err(OackError::BadValue("blksize"))
        );
        assert_eq!(
            Options::from_oack(b"tsize\x001\x00tsize\x002\x00"),
            Err(OackError::Twice("tsize"))
        );
        let good = Options::from_oack(b"TSIZE\x0012\x00").expect("a good OACK");
        assert_eq!(good.tsize, Some(12));
    }
}
