//! `tftp://host:port/path`, and its shorter forms.

use std::{net::IpAddr, str::FromStr};

use percent_encoding::percent_decode_str;

use crate::proto::Mode;

/// A file on a TFTP server, or the server alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Url {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Bytes, percent-decoded, without the slash that ends the host; empty for the server alone.
    pub(super) path: Vec<u8>,
    /// The mode after `;mode=`.
    pub(super) mode: Option<Mode>,
}

/// The port of TFTP.
pub(super) const TFTP: u16 = 69;

impl FromStr for Url {
    type Err = String;

    /// Parses a URL ([RFC 3617](https://www.rfc-editor.org/rfc/rfc3617)), or `host:path` with the
    /// path not decoded, or a host alone.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("tftp") => from_url(rest),
            Some(_) => None,
            None => from_short(text),
        };
        url.filter(|url| !url.path.contains(&0)).ok_or_else(|| {
            format!("{text:?} is no file on a server: write tftp://HOST[:PORT]/PATH, or HOST:PATH")
        })
    }
}

fn from_url(rest: &str) -> Option<Url> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (path, mode) = match path.split_once(";mode=") {
        Some((path, mode)) => (path, Some(mode_of_url(mode)?)),
        None => (path, None),
    };
    let (host, port) = split_port(authority)?;
    Some(Url {
        host: host.to_owned(),
        port,
        path: percent_decode_str(path).collect(),
        mode,
    })
}

fn mode_of_url(mode: &str) -> Option<Mode> {
    Mode::from_wire(mode.as_bytes()).filter(|mode| *mode != Mode::Mail)
}

/// Parses `host:path`, `[v6]:path`, or a host alone.
fn from_short(text: &str) -> Option<Url> {
    let (host, path) = if text.parse::<IpAddr>().is_ok() {
        (text, "")
    } else if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        (
            host,
            rest.strip_prefix(':').or(rest.is_empty().then_some(""))?,
        )
    } else {
        text.split_once(':').unwrap_or((text, ""))
    };
    // A slash before the first colon is a local path by mistake.
    (!host.is_empty() && !host.contains('/')).then(|| Url {
        host: host.to_owned(),
        port: TFTP,
        path: path.as_bytes().to_vec(),
        mode: None,
    })
}

/// Splits `host:port`, `[v6]:port` or either without a port.
fn split_port(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            (
                host,
                rest.strip_prefix(':').or(rest.is_empty().then_some("69"))?,
            )
        }
        None => authority.split_once(':').unwrap_or((authority, "69")),
    };
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expect(text: &str, host: &str, port: u16, path: &str) -> Option<Mode> {
        let url: Url = text.parse().expect(text);
        let shown = url.path.escape_ascii().to_string();
        assert_eq!(
            (url.host.as_str(), url.port, shown.as_str()),
            (host, port, path),
            "{text}"
        );
        url.mode
    }

    #[test]
    fn hosts_ports_and_paths_are_told_apart() {
        expect("tftp://boot/pxelinux.0", "boot", 69, "pxelinux.0");
        expect("TFTP://192.0.2.1:6969/a/b", "192.0.2.1", 6969, "a/b");
        expect("tftp://[2001:db8::1]/x", "2001:db8::1", 69, "x");
        expect("tftp://[fe80::1%eth0]:70//etc", "fe80::1%eth0", 70, "/etc");
        expect("tftp://h:70", "h", 70, "");
        expect("tftp://h/", "h", 69, "");
    }

    #[test]
    fn a_url_is_percent_decoded_and_may_name_a_mode() {
        let mode = expect("tftp://h/a%20b%ff;mode=octet", "h", 69, r"a b\xff");
        assert_eq!(mode, Some(Mode::Octet));
        let mode = expect("tftp://h/x;mode=NetASCII", "h", 69, "x");
        assert_eq!(mode, Some(Mode::Netascii));
    }

    #[test]
    fn a_host_and_a_path_may_stand_alone_with_a_colon() {
        expect("boot:grub/x64.efi", "boot", 69, "grub/x64.efi");
        expect("boot:a%20b", "boot", 69, "a%20b");
        expect("[2001:db8::1]:x", "2001:db8::1", 69, "x");
        expect("2001:db8::1", "2001:db8::1", 69, "");
        expect("192.0.2.1", "192.0.2.1", 69, "");
    }

    #[test]
    fn what_names_no_server_is_refused() {
        for wrong in [
            "",
            "boot/x",
            "./a:b",
            ":x",
            "http://h/x",
            "tftp:///x",
            "tftp://h:0/x",
            "tftp://h:x/x",
            "tftp://[::1/x",
            "tftp://[::1]69/x",
            "[::1]69",
            "tftp://h/x;mode=mail",
            "tftp://h/x;mode=",
            "tftp://h/%00",
        ] {
            assert!(wrong.parse::<Url>().is_err(), "{wrong}");
        }
    }
}
