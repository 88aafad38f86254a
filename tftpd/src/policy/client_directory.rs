//! A directory of its own for each client.

use std::net::IpAddr;

use super::{
    Name, NameError,
    rules::{Template, TemplateError},
};

/// Where below the root the names of one client begin.
///
/// Made from a template that knows `${client}`, `${client_hex}` and `${lower(…)}` of these: with
/// `clients/${client}` the client 10.0.3.7 that asks for `boot.cfg` gets `clients/10.0.3.7/boot.cfg`.
///
/// ```
/// use tftpd::policy::{ClientDirectory, Name};
///
/// let directory = ClientDirectory::new("clients/${client_hex}")?;
/// let asked = Name::from_request(b"../boot.cfg")?;
/// let placed = directory.place(&asked, [10, 0, 3, 7].into())?;
/// assert_eq!(placed.as_bytes(), b"clients/0A000307/boot.cfg");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientDirectory(Template);

impl ClientDirectory {
    /// The directories that `template` describes.
    ///
    /// # Errors
    /// [`TemplateError`] for a variable that does not exist where no pattern matches anything.
    pub fn new(template: &str) -> Result<Self, TemplateError> {
        Template::parse_plain(template).map(Self)
    }

    /// The name below the root for what a client calls `name`.
    ///
    /// # Errors
    /// [`NameError::TooLong`] if the whole gets too long, and [`NameError::OutsideRoot`] if the
    /// template itself climbs above the root.
    pub fn place(&self, name: &Name, client: IpAddr) -> Result<Name, NameError> {
        let mut placed = Vec::new();
        self.0.expand(None, client.to_canonical(), &mut placed);
        placed.push(b'/');
        placed.extend_from_slice(name.as_bytes());
        Name::strict(&placed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(template: &str, client: &str) -> Result<Vec<u8>, NameError> {
        let directory = ClientDirectory::new(template).expect("a good template");
        let name = Name::from_request(b"../cfg/x").expect("a good name");
        let client = client.parse().expect("an address");
        Ok(directory.place(&name, client)?.as_bytes().to_vec())
    }

    #[test]
    fn each_client_has_its_own_directory_and_stays_in_it() {
        assert_eq!(
            place("${client}", "10.0.3.7").as_deref(),
            Ok(b"10.0.3.7/cfg/x".as_slice())
        );
        assert_eq!(
            place("by-address/${client}/", "::ffff:10.0.3.7").as_deref(),
            Ok(b"by-address/10.0.3.7/cfg/x".as_slice())
        );
        assert_eq!(
            place("${lower(client_hex)}", "2001:db8::1").as_deref(),
            Ok(b"20010db8000000000000000000000001/cfg/x".as_slice())
        );
        assert_eq!(place("", "10.0.3.7").as_deref(), Ok(b"cfg/x".as_slice()));
    }

    #[test]
    fn a_template_cannot_leave_the_root_or_ask_for_a_match() {
        assert_eq!(
            place("../${client}", "10.0.3.7"),
            Err(NameError::OutsideRoot)
        );
        assert_eq!(
            place(&"long/".repeat(900), "10.0.3.7"),
            Err(NameError::TooLong {
                length: 4505,
                limit: 4095
            })
        );
        assert!(ClientDirectory::new("${1}").is_err());
    }
}
