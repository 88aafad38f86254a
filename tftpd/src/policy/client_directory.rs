//! A directory for each client.

use std::net::IpAddr;

use super::{
    Name, NameError,
    rules::{Template, TemplateError},
};

/// The directory below the root that the names of a client are relative to.
///
/// Its template has the variables `${client}`, `${client_hex}` and `${lower(…)}` of these: with
/// `clients/${client}` the request of 10.0.3.7 for `boot.cfg` means `clients/10.0.3.7/boot.cfg`.
///
/// ```
/// use tftpd::policy::{ClientDirectory, Name};
///
/// let directory = ClientDirectory::new("clients/${client_hex}")?;
/// let asked = Name::from_request(b"../boot.cfg")?;
/// let below_root = directory.join(&asked, [10, 0, 3, 7].into())?;
/// assert_eq!(below_root.as_bytes(), b"clients/0A000307/boot.cfg");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientDirectory(Template);

impl ClientDirectory {
    /// Parses `template`, for example `clients/${client}`.
    ///
    /// # Errors
    /// [`TemplateError`] for a variable that does not exist; groups of a pattern do not.
    pub fn new(template: &str) -> Result<Self, TemplateError> {
        Template::parse_plain(template).map(Self)
    }

    /// Returns the name below the root for the name that `client` asks for.
    ///
    /// # Errors
    /// [`NameError::TooLong`] if the result is too long, and [`NameError::OutsideRoot`] if the
    /// template itself climbs above the root with `..`.
    pub fn join(&self, name: &Name, client: IpAddr) -> Result<Name, NameError> {
        let mut joined = Vec::new();
        self.0.expand(None, client.to_canonical(), &mut joined);
        joined.push(b'/');
        joined.extend_from_slice(name.as_bytes());
        Name::strict(&joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(template: &str, client: &str) -> Result<Vec<u8>, NameError> {
        let directory = ClientDirectory::new(template).expect("a good template");
        let name = Name::from_request(b"../cfg/x").expect("a good name");
        let client = client.parse().expect("an address");
        Ok(directory.join(&name, client)?.as_bytes().to_vec())
    }

    #[test]
    fn each_client_has_its_own_directory_and_stays_in_it() {
        assert_eq!(
            join("${client}", "10.0.3.7").as_deref(),
            Ok(b"10.0.3.7/cfg/x".as_slice())
        );
        assert_eq!(
            join("by-address/${client}/", "::ffff:10.0.3.7").as_deref(),
            Ok(b"by-address/10.0.3.7/cfg/x".as_slice())
        );
        assert_eq!(
            join("${lower(client_hex)}", "2001:db8::1").as_deref(),
            Ok(b"20010db8000000000000000000000001/cfg/x".as_slice())
        );
        assert_eq!(join("", "10.0.3.7").as_deref(), Ok(b"cfg/x".as_slice()));
    }

    #[test]
    fn a_template_cannot_leave_the_root_or_ask_for_a_match() {
        assert_eq!(
            join("../${client}", "10.0.3.7"),
            Err(NameError::OutsideRoot)
        );
        assert_eq!(
            join(&"long/".repeat(900), "10.0.3.7"),
            Err(NameError::TooLong {
                length: 4505,
                limit: 4095
            })
        );
        assert!(ClientDirectory::new("${1}").is_err());
    }
}
