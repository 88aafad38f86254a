//! The host's files, line by line: parsers without any effect.

use super::LineError;
use crate::address::Protocol;
use crate::ports::{ParsePortsError, PortRange, PortSet};

/// An entry of `/etc/services`: a name for a port.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Service {
    /// The official name of the service.
    pub name: String,
    /// The port.
    pub port: u16,
    /// The protocol; services of other protocols than UDP, TCP and SCTP are not listed.
    pub protocol: Protocol,
}

/// The number of files that a process may have open (`RLIMIT_NOFILE`); [`u64::MAX`] stands for no limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OpenFiles {
    /// The limit that counts now.
    pub soft: u64,
    /// The limit up to which the process may raise it.
    pub hard: u64,
}

/// The number of a line and the error in it.
pub(super) type AtLine = (usize, LineError);

/// Reads `/etc/bindresvport.blacklist`: one port per line, `#` begins a comment.
pub(super) fn blacklist(text: &str) -> Result<PortSet, AtLine> {
    let mut ports = PortSet::empty();
    for (number, fields) in entries(text) {
        if let Some(port) = fields.first().and_then(|field| port(field).transpose()) {
            ports.extend([port.map_err(|error| (number, error))?]);
        }
    }
    Ok(ports)
}

/// Reads `/etc/services`: `name port/protocol aliases…`, `#` begins a comment.
pub(super) fn services(text: &str) -> Result<Vec<Service>, AtLine> {
    let mut services = Vec::new();
    for (number, fields) in entries(text) {
        services.extend(service(&fields).map_err(|error| (number, error))?);
    }
    Ok(services)
}

fn service(fields: &[&str]) -> Result<Option<Service>, LineError> {
    let Some(name) = fields.first() else {
        return Ok(None);
    };
    let at = fields.get(1).copied().unwrap_or_default();
    let (number, protocol) = at.split_once('/').ok_or(LineError::no_protocol(at))?;
    let Some(range) = port(number)? else {
        return Ok(None);
    };
    let known = [Protocol::Udp, Protocol::Tcp, Protocol::Sctp];
    let protocol = known.into_iter().find(|one| one.to_string() == protocol);
    Ok(protocol.map(|protocol| Service {
        name: (*name).to_owned(),
        port: range.first(),
        protocol,
    }))
}

/// One port; `None` for port 0, which some distributions list and no program can bind.
fn port(text: &str) -> Result<Option<PortRange>, LineError> {
    // A port is a range whose text has no hyphen; one parser judges the number.
    if text.contains('-') {
        let text = text.to_owned();
        return Err(ParsePortsError::NotAPort { text }.into());
    }
    match text.parse() {
        Ok(port) => Ok(Some(port)),
        Err(ParsePortsError::Zero) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The lines with something on them, each with its number and its fields.
fn entries(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    let lines = text.lines().enumerate().map(|(index, line)| {
        let content = line.split('#').next().unwrap_or_default();
        (index + 1, content.split_ascii_whitespace().collect())
    });
    lines.filter(|(_, fields): &(usize, Vec<&str>)| !fields.is_empty())
}

/// Reads a sysctl that is a single number.
pub(super) fn number(text: &str) -> Result<u64, AtLine> {
    let text = text.trim();
    text.parse().map_err(|_| (1, LineError::not_a_number(text)))
}

/// Reads the line `Max open files` of `/proc/PID/limits`; `None` if there is none.
pub(super) fn open_files(text: &str) -> Result<Option<OpenFiles>, AtLine> {
    for (index, line) in text.lines().enumerate() {
        if let Some(rest) = line.strip_prefix("Max open files") {
            let mut fields = rest.split_ascii_whitespace();
            let mut limit = || match fields.next().unwrap_or_default() {
                "unlimited" => Ok(u64::MAX),
                text => text
                    .parse()
                    .map_err(|_| (index + 1, LineError::not_a_number(text))),
            };
            let (soft, hard) = (limit()?, limit()?);
            return Ok(Some(OpenFiles { soft, hard }));
        }
    }
    Ok(None)
}

/// Returns true if `/proc/PID/status` grants `CAP_NET_BIND_SERVICE`; `None` without that line.
pub(super) fn binds_privileged(text: &str) -> Result<Option<bool>, AtLine> {
    const NET_BIND_SERVICE: u32 = 10;
    for (index, line) in text.lines().enumerate() {
        if let Some(mask) = line.strip_prefix("CapEff:") {
            let mask = mask.trim();
            let bits = u64::from_str_radix(mask, 16)
                .map_err(|_| (index + 1, LineError::not_a_number(mask)))?;
            return Ok(Some(bits >> NET_BIND_SERVICE & 1 == 1));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blacklist_is_one_port_per_line_and_comments() {
        let text = "#\n# not for bindresvport\n\n631\t# cups\n 636\n0\n2049 # nfs\n";
        assert_eq!(blacklist(text).expect("ports").to_string(), "631,636,2049");
        assert!(blacklist("").expect("ports").is_empty());
        for (text, line) in [("631\nhttp\n", 2), ("1-5", 1), ("\n\n70000 # big", 3)] {
            let (number, error) = blacklist(text).expect_err(text);
            assert_eq!(number, line, "{text:?}: {error}");
        }
    }

    #[test]
    fn services_of_our_protocols_are_listed_and_others_passed_over() {
        let text = "tftp 69/udp\nrtmp 1/ddp # AppleTalk\nnfs\t2049/tcp\tnfsd # it\nnil 0/tcp\n";
        let found = services(text).expect("services");
        let expected = [("tftp", 69, Protocol::Udp), ("nfs", 2049, Protocol::Tcp)];
        assert!(
            found
                .iter()
                .map(|service| (service.name.as_str(), service.port, service.protocol))
                .eq(expected),
            "{found:?}"
        );
    }

    #[test]
    fn a_service_that_makes_no_sense_is_named_by_its_line() {
        for text in [
            "a 1/udp\nb\n",
            "a 1/udp\nb 2\n",
            "#\nb x/udp",
            "#\nb 2-3/udp",
        ] {
            let (line, error) = services(text).expect_err(text);
            assert_eq!(line, 2, "{text:?}: {error}");
        }
    }

    #[test]
    fn limits_and_capabilities_are_found_in_their_tables() {
        let limits = "Limit   Soft Limit  Hard Limit  Units\n\
                      Max processes   96365   96365   processes\n\
                      Max open files            1024                 unlimited            files\n";
        let (soft, hard) = (1024, u64::MAX);
        assert_eq!(open_files(limits), Ok(Some(OpenFiles { soft, hard })));
        assert_eq!(open_files("Limit\n"), Ok(None));
        assert_eq!(
            open_files("\nMax open files many\n").map_err(|(line, _)| line),
            Err(2)
        );

        assert_eq!(
            binds_privileged("Name:\tx\nCapEff:\t0000000000000400\n"),
            Ok(Some(true))
        );
        assert_eq!(
            binds_privileged("CapEff:\t0000000000000bff\n"),
            Ok(Some(false))
        );
        assert_eq!(binds_privileged("Name:\tx\n"), Ok(None));
        assert!(binds_privileged("CapEff:\tall\n").is_err());
        assert_eq!(number("212992\n"), Ok(212_992));
        assert!(number("many\n").is_err());
    }
}
