//! Lists of networks that are allowed and denied.

use std::fmt;
use std::net::IpAddr;

use super::Prefix;

/// Prefixes that are allowed and prefixes that are denied.
///
/// The most specific prefix that holds the client decides; if it is listed both ways, it is
/// denied. Where no prefix holds it, a client is allowed if nothing is listed as allowed: a list
/// of denied prefixes alone allows all others, a list of allowed ones denies them.
///
/// So exceptions nest: allow 10.0.0.0/8, deny 10.6.0.0/16, allow 10.6.0.9.
///
/// ```
/// use eport_core::limit::AccessList;
///
/// let list = AccessList::new(["10.0.0.0/8".parse()?], ["10.6.0.0/16".parse()?]);
/// let access = list.check("10.6.0.1".parse()?);
/// assert!(!access.is_allowed());
/// assert_eq!(access.to_string(), "denied by 10.6.0.0/16");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccessList {
    /// Most specific first; of equal ones the denied first.
    entries: Vec<Entry>,
    /// Set when a client that no entry holds is denied.
    closed: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Entry {
    prefix: Prefix,
    allowed: bool,
}

impl AccessList {
    /// Makes a list of these prefixes.
    pub fn new(
        allow: impl IntoIterator<Item = Prefix>,
        deny: impl IntoIterator<Item = Prefix>,
    ) -> Self {
        let entry = |allowed| move |prefix| Entry { prefix, allowed };
        let mut entries: Vec<Entry> = allow.into_iter().map(entry(true)).collect();
        let closed = !entries.is_empty();
        entries.extend(deny.into_iter().map(entry(false)));
        entries.sort_by_key(|entry| (u8::MAX - entry.prefix.bits(), entry.allowed));
        Self { entries, closed }
    }

    /// Makes a list that allows these prefixes alone, and denies every client if there are none.
    pub fn only(allow: impl IntoIterator<Item = Prefix>) -> Self {
        Self {
            closed: true,
            ..Self::new(allow, [])
        }
    }

    /// Returns the decision on this client, with the prefix that made it. O(n) in the entries.
    pub fn check(&self, client: IpAddr) -> Access {
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.prefix.contains(client));
        match (entry, self.closed) {
            (Some(entry), _) if entry.allowed => Access::Allowed(Some(entry.prefix)),
            (Some(entry), _) => Access::Denied(Some(entry.prefix)),
            (None, false) => Access::Allowed(None),
            (None, true) => Access::Denied(None),
        }
    }
}

/// A decision with its reason: the prefix that decided, or none if none holds the client.
///
/// Closed: a client is allowed or denied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[expect(
    clippy::exhaustive_enums,
    reason = "closed: a client is allowed or denied"
)]
pub enum Access {
    /// The client may go on.
    Allowed(Option<Prefix>),
    /// The client may not.
    Denied(Option<Prefix>),
}

impl Access {
    /// Returns true if the client may go on.
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed(Some(prefix)) => write!(f, "allowed by {prefix}"),
            Self::Allowed(None) => f.write_str("allowed: no network denies it"),
            Self::Denied(Some(prefix)) => write!(f, "denied by {prefix}"),
            Self::Denied(None) => f.write_str("denied: no network allows it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(allow: &[&str], deny: &[&str]) -> AccessList {
        let prefixes = |texts: &[&str]| {
            let parsed = texts.iter().map(|text| text.parse().expect("a prefix"));
            parsed.collect::<Vec<Prefix>>()
        };
        AccessList::new(prefixes(allow), prefixes(deny))
    }

    fn allowed(list: &AccessList, client: &str) -> bool {
        list.check(client.parse().expect("an address")).is_allowed()
    }

    #[test]
    fn an_empty_list_allows_every_client() {
        assert!(allowed(&AccessList::default(), "192.0.2.1"));
        assert!(!allowed(&AccessList::only([]), "192.0.2.1"));
    }

    #[test]
    fn allowing_some_denies_the_others_and_denying_some_does_not() {
        let closed = list(&["10.0.0.0/8"], &[]);
        assert!(allowed(&closed, "10.1.2.3") && allowed(&closed, "::ffff:10.1.2.3"));
        assert!(!allowed(&closed, "192.0.2.1") && !allowed(&closed, "fd00::1"));
        let open = list(&[], &["10.0.0.0/8"]);
        assert!(!allowed(&open, "10.1.2.3"));
        assert!(allowed(&open, "192.0.2.1") && allowed(&open, "fd00::1"));
    }

    #[test]
    fn the_most_specific_prefix_decides_in_any_order() {
        let nested = list(&["10.6.0.9", "10.0.0.0/8"], &["10.6.0.0/16"]);
        assert!(allowed(&nested, "10.5.0.1"));
        assert!(!allowed(&nested, "10.6.0.8"));
        assert!(allowed(&nested, "10.6.0.9"));
    }

    #[test]
    fn a_prefix_listed_both_ways_is_denied() {
        let both = list(&["fd00::/8"], &["fd00::/8"]);
        assert!(!allowed(&both, "fd00::1"));
    }

    #[test]
    fn a_decision_without_a_prefix_has_a_reason() {
        let client = "192.0.2.1".parse().expect("an address");
        let read = AccessList::default().check(client);
        let write = list(&["10.0.0.0/8"], &[]).check(client);
        assert_eq!(read.to_string(), "allowed: no network denies it");
        assert_eq!(write.to_string(), "denied: no network allows it");
        assert!(read.is_allowed() && !write.is_allowed());
    }

    #[test]
    fn a_list_of_some_alone_denies_all_if_there_are_none() {
        let some = AccessList::only(["10.0.0.0/8".parse().expect("a prefix")]);
        assert!(allowed(&some, "10.1.2.3") && !allowed(&some, "192.0.2.1"));
    }
}
