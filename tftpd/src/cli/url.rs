//! `tftp://host:port/path`.

use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// A file on a TFTP server ([RFC 3617](https://www.rfc-editor.org/rfc/rfc3617)).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Url {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Bytes, percent-decoded, without the slash that ends the host; never empty.
    pub(super) path: Vec<u8>,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &str| format!("{text:?} {why}: write tftp://HOST[:PORT]/PATH");
        let rest = strip_scheme(text).ok_or_else(|| wrong("is no TFTP URL"))?;
        let (authority, path) = rest.split_once('/').ok_or_else(|| wrong("names no file"))?;
        let (path, mode) = path.split_once(";mode=").unwrap_or((path, "octet"));
        if !mode.eq_ignore_ascii_case("octet") {
            return Err(wrong("asks for a mode other than octet"));
        }
        let (host, port) =
            split_port(authority).ok_or_else(|| wrong("has no usable host and port"))?;
        let path: Vec<u8> = percent_decode_str(path).collect();
        if path.is_empty() || path.contains(&0) {
            return Err(wrong("names no file"));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            path,
        })
    }
}

fn strip_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    scheme.eq_ignore_ascii_case("tftp").then_some(rest)
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

    fn parts(text: &str) -> Option<(String, u16, String)> {
        let url: Url = text.parse().ok()?;
        Some((url.host, url.port, url.path.escape_ascii().to_string()))
    }

    #[test]
    fn hosts_ports_and_paths_are_told_apart() {
        let expect = |text, host: &str, port, path: &str| {
            assert_eq!(
                parts(text),
                Some((host.to_owned(), port, path.to_owned())),
                "{text}"
            );
        };
        expect("tftp://boot/pxelinux.0", "boot", 69, "pxelinux.0");
        expect("TFTP://192.0.2.1:6969/a/b", "192.0.2.1", 6969, "a/b");
        expect("tftp://[2001:db8::1]/x", "2001:db8::1", 69, "x");
        expect("tftp://[fe80::1%eth0]:70//etc", "fe80::1%eth0", 70, "/etc");
        expect("tftp://h/a%20b%ff;mode=octet", "h", 69, r"a b\xff");
    }

    #[test]
    fn what_names_no_file_on_a_server_is_refused() {
        for wrong in [
            "",
            "boot/x",
            "http://h/x",
            "tftp://h",
            "tftp://h/",
            "tftp:///x",
            "tftp://h:0/x",
            "tftp://h:x/x",
            "tftp://[::1/x",
            "tftp://[::1]69/x",
            "tftp://h/x;mode=netascii",
            "tftp://h/%00",
        ] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
