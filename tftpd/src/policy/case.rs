//! Look-up of a name without regard to case.

/// The entry of a directory that a name means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CaseMatch<E> {
    /// The entry with the same spelling.
    Exact(E),
    /// The only entry that differs in nothing but case.
    Folded(E),
    /// Several entries differ in nothing but case, and none has the same spelling.
    Ambiguous,
    /// No entry.
    Missing,
}

impl<E> CaseMatch<E> {
    /// Returns the matching entry, unless there is none or several.
    pub(crate) fn entry(self) -> Option<E> {
        match self {
            Self::Exact(entry) | Self::Folded(entry) => Some(entry),
            Self::Ambiguous | Self::Missing => None,
        }
    }
}

/// Finds the entry for one component of a name: the entry with the same spelling, else the only one
/// that differs in case.
///
/// The Windows boot manager asks for `\Boot\BCD` where the file is `boot/bcd`, GRUB for
/// `grub.cfg-01-AA-BB-…` where it is in lower case. Case is that of ASCII: all of these names are
/// ASCII, and file systems do not record the character set of other bytes.
pub(crate) fn match_case<E: AsRef<[u8]>>(
    component: &[u8],
    entries: impl IntoIterator<Item = E>,
) -> CaseMatch<E> {
    let mut found = CaseMatch::Missing;
    for entry in entries {
        if entry.as_ref() == component {
            return CaseMatch::Exact(entry);
        }
        if entry.as_ref().eq_ignore_ascii_case(component) {
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
