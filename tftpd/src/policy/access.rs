//! All checks of a request before a file is opened.

use std::net::IpAddr;

use super::{
    Access, Acl, ClientDirectory, Name, NameError, Rules,
    explain::{Query, RewriteError},
};
use crate::proto::{Direction, ErrorCode, Request};

/// The checks in their order: access lists, then rules, then the client's directory.
///
/// ```
/// use tftpd::{policy::{RequestPolicy, Rule, Rules}, proto::{Direction, Mode, Options, Request}};
///
/// let rules = Rules::new([Rule::matching("^default$").rewrite("hosts/${client}").build()?]);
/// let policy = RequestPolicy::default().with_rules(rules);
/// let request = Request {
///     direction: Direction::Read,
///     filename: b"/default",
///     mode: Mode::Octet,
///     options: Options::default(),
/// };
/// let resolved = policy.resolve(&request, [10, 0, 3, 7].into())?;
/// assert_eq!(resolved.name.as_bytes(), b"hosts/10.0.3.7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RequestPolicy {
    /// The prefixes that may read and write.
    pub acl: Acl,
    /// The rules that rewrite or deny names.
    pub rules: Rules,
    /// The directory where the names of a client begin, if not the root.
    pub directory: Option<ClientDirectory>,
}

/// The file that a request means.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Resolved {
    /// Its name below the root.
    pub name: Name,
    /// Set when a missing file is not reported.
    pub quiet_missing: bool,
}

/// The reason why a request means no file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The access lists deny it to the client's prefix.
    #[error("{0}")]
    Network(Access),
    /// The rules refuse it, or what they make of it is no file's name.
    #[error(transparent)]
    Rules(#[from] RewriteError),
    /// It is no file's name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl RequestPolicy {
    /// Sets the networks that may read and write.
    #[must_use]
    pub fn with_acl(self, acl: Acl) -> Self {
        Self { acl, ..self }
    }

    /// Sets the rules that rewrite and deny names.
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// Sets the directory that the names of a client are relative to.
    #[must_use]
    pub fn with_directory(self, directory: impl Into<Option<ClientDirectory>>) -> Self {
        Self {
            directory: directory.into(),
            ..self
        }
    }

    /// Returns the file that `request` of `client` means.
    ///
    /// # Errors
    /// [`PolicyError`] with the reason.
    pub fn resolve(&self, request: &Request<'_>, client: IpAddr) -> Result<Resolved, PolicyError> {
        let access = self.acl.check(client, request.direction);
        if !access.is_allowed() {
            return Err(PolicyError::Network(access));
        }
        let (name, quiet_missing) = self.ruled(request.filename, client, request.direction)?;
        let name = match &self.directory {
            Some(directory) => directory.join(&name, client)?,
            None => name,
        };
        Ok(Resolved {
            name,
            quiet_missing,
        })
    }

    fn ruled(
        &self,
        name: &[u8],
        client: IpAddr,
        direction: Direction,
    ) -> Result<(Name, bool), PolicyError> {
        if self.rules.is_empty() {
            return Ok((Name::from_request(name)?, false));
        }
        let decision = self.rules.decide(&Query {
            name,
            client,
            direction,
        });
        Ok((decision.verdict?, decision.quiet_missing))
    }
}

impl PolicyError {
    /// The code for the peer.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Network(_) => ErrorCode::AccessViolation,
            Self::Rules(refusal) => refusal.code(),
            Self::Name(error) => error.code(),
        }
    }

    /// The text for the peer: a rule's own, or that of the code. Never the server's path.
    pub fn text(&self) -> &[u8] {
        match self {
            Self::Rules(refusal) => refusal.text(),
            Self::Network(_) | Self::Name(_) => self.code().text().as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::{AccessList, Rule},
        proto::{Mode, Options},
    };

    fn policy() -> RequestPolicy {
        let rule = |pattern| Rule::matching(pattern);
        let allowed = "10.0.0.0/8".parse().expect("a prefix");
        RequestPolicy {
            acl: Acl {
                read: AccessList::new([allowed], []),
                write: AccessList::only([]),
            },
            rules: Rules::new([
                rule("^secret$").deny().build().expect("a rule"),
                rule("^probe")
                    .keep_going()
                    .quiet_missing()
                    .build()
                    .expect("a rule"),
            ]),
            directory: Some(ClientDirectory::new("c/${client}").expect("a template")),
        }
    }

    fn resolve(
        direction: Direction,
        filename: &[u8],
        client: [u8; 4],
    ) -> Result<(String, bool), PolicyError> {
        let request = Request {
            direction,
            filename,
            mode: Mode::Octet,
            options: Options::default(),
        };
        let resolved = policy().resolve(&request, client.into())?;
        Ok((resolved.name.to_string(), resolved.quiet_missing))
    }

    #[test]
    fn networks_come_first_then_rules_then_the_directory() {
        let read = |name: &[u8], client| resolve(Direction::Read, name, client);
        assert_eq!(
            read(b"/x", [10, 0, 0, 1]),
            Ok(("c/10.0.0.1/x".to_owned(), false))
        );
        assert_eq!(
            read(b"probe", [10, 0, 0, 1]),
            Ok(("c/10.0.0.1/probe".to_owned(), true))
        );
        assert!(matches!(
            read(b"secret", [10, 0, 0, 1]),
            Err(PolicyError::Rules(RewriteError::Denied { rule: 1, .. }))
        ));
        assert!(matches!(
            read(b"secret", [192, 0, 2, 1]),
            Err(PolicyError::Network(_))
        ));
        assert!(matches!(
            read(b"sub/", [10, 0, 0, 1]),
            Err(PolicyError::Rules(RewriteError::NoName(_)))
        ));
        assert!(matches!(
            resolve(Direction::Write, b"x", [10, 0, 0, 1]),
            Err(PolicyError::Network(_))
        ));
    }
}
