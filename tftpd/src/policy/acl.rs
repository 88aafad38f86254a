//! Access lists for reading and for writing.

use std::net::IpAddr;

pub use eport_core::limit::{Access, AccessList, Prefix, PrefixError};

use crate::proto::Direction;

/// Access lists for both directions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Acl {
    /// The clients that may read.
    pub read: AccessList,
    /// The clients that may write, where writing is possible at all.
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

    /// Returns the decision on this client and direction, with the prefix that made it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_and_writing_have_lists_of_their_own() {
        let acl = Acl {
            read: AccessList::default(),
            write: AccessList::only(["10.0.0.0/8".parse().expect("a prefix")]),
        };
        let client = "192.0.2.1".parse().expect("an address");
        let read = acl.check(client, Direction::Read);
        let write = acl.check(client, Direction::Write);
        assert_eq!(read.to_string(), "allowed: no network denies it");
        assert_eq!(write.to_string(), "denied: no network allows it");
        assert!(read.is_allowed() && !write.is_allowed());
    }
}
