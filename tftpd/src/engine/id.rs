//! Identifiers of transfers.

/// A transfer, by its slot and a serial number that distinguishes it from earlier ones there.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct TransferId {
    slot: u32,
    serial: u32,
}

impl TransferId {
    pub(crate) fn new(slot: usize, serial: u32) -> Self {
        Self {
            slot: u32::try_from(slot).unwrap_or(u32::MAX),
            serial,
        }
    }

    pub(crate) fn slot(self) -> usize {
        self.slot as usize
    }

    pub(crate) fn serial(self) -> u32 {
        self.serial
    }

    /// Packs the identifier into the user data of an epoll event, with the top bit clear.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.serial) << 32 | u64::from(self.slot)
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        let half = |bits| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        Self {
            slot: half(bits),
            serial: half(bits >> 32),
        }
    }
}

/// A generator of serial numbers of 31 bits: the poller marks other events with the top bit.
#[derive(Debug, Default)]
pub(crate) struct Serials(u32);

impl Serials {
    pub(crate) fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(1) & (u32::MAX >> 1);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_survives_epoll_and_never_has_the_top_bit() {
        let mut serials = Serials((u32::MAX >> 1) - 1);
        for serial in [serials.next(), serials.next(), serials.next()] {
            let id = TransferId::new(7, serial);
            assert_eq!(TransferId::from_bits(id.to_bits()), id);
            assert_eq!(id.to_bits() >> 63, 0);
        }
        assert_eq!(serials.next(), 2, "serial numbers start again");
    }
}
