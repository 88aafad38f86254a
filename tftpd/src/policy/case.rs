//! Looking up a name without regard to case.

/// Which entry of a directory a name means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CaseMatch<E> {
    /// The one that is spelled alike.
    Exact(E),
    /// The only one that differs in nothing but case.
    Folded(E),
    /// Several differ in nothing but case, and none is spelled alike: to serve any would be a guess.
    Ambiguous,
    /// None.
    Missing,
}

impl<E> CaseMatch<E> {
    /// The entry, if there is one.
    pub fn entry(self) -> Option<E> {
        match self {
            Self::Exact(entry) | Self::Folded(entry) => Some(entry),
            Self::Ambiguous | Self::Missing => None,
        }
    }
}

/// Finds the entry that `wanted`, one component of a name, means: the one spelled alike before
/// any other, then the only one that differs in case.
///
/// The Windows boot manager asks for `\Boot\BCD` where the file is `boot/bcd`, GRUB for
/// `grub.cfg-01-AA-BB-…` where it is in lower case. Case is that of ASCII: all of these names are,
/// and what a byte beyond it stands for no file system says.
///
/// ```
/// use tftpd::policy::{CaseMatch, match_case};
///
/// assert_eq!(match_case(b"BCD", ["bcd", "bcd.log"]), CaseMatch::Folded("bcd"));
/// assert_eq!(match_case(b"BCD", ["bcd", "BCD"]), CaseMatch::Exact("BCD"));
/// assert_eq!(match_case(b"BCD", ["bcd", "Bcd"]), CaseMatch::Ambiguous);
/// ```
pub fn match_case<E: AsRef<[u8]>>(
    wanted: &[u8],
    entries: impl IntoIterator<Item = E>,
) -> CaseMatch<E> {
    let mut found = CaseMatch::Missing;
    for entry in entries {
        if entry.as_ref() == wanted {
            return CaseMatch::Exact(entry);
        }
        if entry.as_ref().eq_ignore_ascii_case(wanted) {
            found = match found {
                CaseMatch::Missing => CaseMatch::Folded(entry),
                _ => CaseMatch::Ambiguous,
            };
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    #[test]
    fn the_name_spelled_alike_wins_wherever_it_stands() {
        for entries in [
            ["BCD", "bcd", "Bcd"],
            ["bcd", "BCD", "Bcd"],
            ["bcd", "Bcd", "BCD"],
        ] {
            assert_eq!(match_case(b"BCD", entries), CaseMatch::Exact("BCD"));
        }
    }

    #[test]
    fn one_that_differs_in_case_is_taken_and_two_are_not() {
        assert_eq!(match_case(b"BCD", ["x", "bCd"]).entry(), Some("bCd"));
        assert_eq!(
            match_case(b"BCD", ["bcd", "x", "Bcd", "bcD"]),
            CaseMatch::Ambiguous
        );
        assert_eq!(match_case(b"BCD", ["bcd2", "bc"]), CaseMatch::Missing);
    }

    #[test]
    fn beyond_ascii_every_byte_is_itself() {
        assert_eq!(match_case("Ü".as_bytes(), ["ü"]), CaseMatch::Missing);
        assert_eq!(
            match_case(b"A\xdc", [b"a\xdc"]),
            CaseMatch::Folded(b"a\xdc")
        );
        assert_eq!(match_case(b"@[", [b"`{"]), CaseMatch::Missing, "no letters");
    }

    proptest! {
        #[test]
        fn the_order_of_entries_makes_no_difference(mut entries in vec("[aAbB]{2}", 0..6)) {
            entries.sort();
            entries.dedup();
            let forward = match_case(b"ab", entries.clone());
            entries.reverse();
            prop_assert_eq!(match_case(b"ab", entries), forward);
        }
    }
}
