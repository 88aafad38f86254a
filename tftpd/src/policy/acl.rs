//! Who may read and who may write, by network.

use std::{fmt, net::IpAddr};

use super::Network;
use crate::proto::Direction;

/// Networks that are allowed and networks that are denied.
///
/// The most specific network that holds the client decides; if it is listed both ways, it is
/// denied. Where no network holds it, a client is allowed if nothing is listed as allowed: a list
/// of denied networks alone keeps the door open for all others, a list of allowed ones shuts it.
///
/// So exceptions nest as they are thought: allow 10.0.0.0/8, deny 10.6.0.0/16, allow 10.6.0.9.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccessList {
    /// Most specific first; of equal ones the denied first.
    entries: Vec<Entry>,
    /// Whether a client is denied that no entry holds.
    shut: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Entry {
    network: Network,
    allowed: bool,
}

impl AccessList {
    /// A list of these networks.
    pub fn new(
        allow: impl IntoIterator<Item = Network>,
        deny: impl IntoIterator<Item = Network>,
    ) -> Self {
        let entry = |allowed| move |network| Entry { network, allowed };
        let mut entries: Vec<Entry> = allow.into_iter().map(entry(true)).collect();
        let shut = !entries.is_empty();
        entries.extend(deny.into_iter().map(entry(false)));
        entries.sort_by_key(|entry| (u8::MAX - entry.network.prefix_len(), entry.allowed));
        Self { entries, shut }
    }

    /// A list that denies everyone.
    pub fn nobody() -> Self {
        Self {
            entries: Vec::new(),
            shut: true,
        }
    }

    /// Whether this client is allowed, and by what.
    pub fn check(&self, client: IpAddr) -> Access {
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.network.contains(client));
        match (entry, self.shut) {
            (Some(entry), _) if entry.allowed => Access::Allowed(Some(entry.network)),
            (Some(entry), _) => Access::Denied(Some(entry.network)),
            (None, false) => Access::Allowed(None),
            (None, true) => Access::Denied(None),
        }
    }
}

/// The lists for both directions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Acl {
    /// Who may read.
    pub read: AccessList,
    /// Who may write, where writing is possible at all.
    pub write: AccessList,
}

impl Acl {
    /// Sets the list of clients that may read.
    #[must_use]
    pub fn with_read(self, read: AccessList) -> Self {
        Self { read, ..self }
    }

    /// Sets the list of clients that may write.
    #[must_use]
    pub fn with_write(self, write: AccessList) -> Self {
        Self { write, ..self }
    }

    /// Whether this client may do this, and by what.
    ///
    /// ```
    /// use tftpd::{policy::{AccessList, Acl}, proto::Direction};
    ///
    /// let read = AccessList::new(["10.0.0.0/8".parse()?], ["10.6.0.0/16".parse()?]);
    /// let acl = Acl::default().with_read(read);
    /// let access = acl.check("10.6.0.1".parse()?, Direction::Read);
    /// assert!(!access.is_allowed());
    /// assert_eq!(access.to_string(), "denied by 10.6.0.0/16");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self, client: IpAddr, direction: Direction) -> Access {
        match direction {
            Direction::Read => self.read.check(client),
            Direction::Write => self.write.check(client),
        }
    }
}

/// An answer with its reason: the network that decided, or none if none holds the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[expect(
    clippy::exhaustive_enums,
    reason = "closed: a client is allowed or denied"
)]
pub enum Access {
    /// Go ahead.
    Allowed(Option<Network>),
    /// No.
    Denied(Option<Network>),
}

impl Access {
    /// Whether the client may go ahead.
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed(Some(network)) => write!(f, "allowed by {network}"),
            Self::Allowed(None) => f.write_str("allowed: no network denies it"),
            Self::Denied(Some(network)) => write!(f, "denied by {network}"),
            Self::Denied(None) => f.write_str("denied: no network allows it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(allow: &[&str], deny: &[&str]) -> AccessList {
        let networks = |texts: &[&str]| {
            let parsed = texts.iter().map(|text| text.parse().expect("a network"));
            parsed.collect::<Vec<Network>>()
        };
        AccessList::new(networks(allow), networks(deny))
    }

    fn allowed(list: &AccessList, client: &str) -> bool {
        list.check(client.parse().expect("an address")).is_allowed()
    }

    #[test]
    fn an_empty_list_lets_everyone_in() {
        assert!(allowed(&AccessList::default(), "192.0.2.1"));
        assert!(!allowed(&AccessList::nobody(), "192.0.2.1"));
    }

    #[test]
    fn allowing_some_shuts_out_the_others_and_denying_some_does_not() {
        let closed = list(&["10.0.0.0/8"], &[]);
        assert!(allowed(&closed, "10.1.2.3") && allowed(&closed, "::ffff:10.1.2.3"));
        assert!(!allowed(&closed, "192.0.2.1") && !allowed(&closed, "fd00::1"));
        let open = list(&[], &["10.0.0.0/8"]);
        assert!(!allowed(&open, "10.1.2.3"));
        assert!(allowed(&open, "192.0.2.1") && allowed(&open, "fd00::1"));
    }

    #[test]
    fn the_most_specific_network_decides_whatever_the_order() {
        let nested = list(&["10.6.0.9", "10.0.0.0/8"], &["10.6.0.0/16"]);
        assert!(allowed(&nested, "10.5.0.1"));
        assert!(!allowed(&nested, "10.6.0.8"));
        assert!(allowed(&nested, "10.6.0.9"));
    }

    #[test]
    fn a_network_listed_both_ways_is_denied() {
        let both = list(&["fd00::/8"], &["fd00::/8"]);
        assert!(!allowed(&both, "fd00::1"));
    }

    #[test]
    fn reading_and_writing_are_told_apart_and_reasons_given() {
        let acl = Acl {
            read: AccessList::default(),
            write: list(&["10.0.0.0/8"], &[]),
        };
        let client = "192.0.2.1".parse().expect("an address");
        let read = acl.check(client, Direction::Read);
        let write = acl.check(client, Direction::Write);
        assert_eq!(read.to_string(), "allowed: no network denies it");
        assert_eq!(write.to_string(), "denied: no network allows it");
        assert!(read.is_allowed() && !write.is_allowed());
    }
}
