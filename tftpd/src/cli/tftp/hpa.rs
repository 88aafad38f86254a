//! The command line of tftp-hpa: `tftp HOST [PORT] [-m MODE] -c get FILE`.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use eport_core::{
    PortSpec,
    program::{Exit, Failure},
};

use super::{
    args::Command,
    settings::{Family, Settings},
    url::{TFTP, Url},
};

/// Returns true if the arguments have the form of tftp-hpa: they begin with a host, or with one of its
/// options.
pub(super) fn is_meant(arguments: &[OsString]) -> bool {
    let Some(first) = arguments.first().map(|first| first.as_bytes()) else {
        return false;
    };
    match first {
        b"get" | b"put" | b"probe" | b"-h" | b"-V" => false,
        long => !long.starts_with(b"--"),
    }
}

/// Parses options and the host in any order, then `-c` and everything after it.
pub(super) fn parse(arguments: Vec<OsString>) -> Result<Vec<Command>, Failure> {
    let mut line = Line {
        arguments: arguments.into(),
        settings: Settings::default(),
        literal: false,
        host: None,
        port: None,
        command: None,
    };
    // tftp-hpa prints nothing without -v.
    line.settings.quiet = true;
    line.read()?;
    let Some(command) = line.command.take() else {
        return Err(usage("no command is given"));
    };
    line.commands(command)
}

struct Line {
    arguments: VecDeque<OsString>,
    settings: Settings,
    literal: bool,
    host: Option<String>,
    port: Option<u16>,
    command: Option<Vec<OsString>>,
}

impl Line {
    fn read(&mut self) -> Result<(), Failure> {
        while let Some(argument) = self.arguments.pop_front() {
            match argument.as_bytes() {
                [b'-', flags @ ..] if !flags.is_empty() => self.flags(flags)?,
                _ if self.host.is_none() => self.host = Some(text(argument)?),
                _ if self.port.is_none() => self.port = Some(port(&text(argument)?)?),
                _ => {
                    return Err(usage(
                        "a host and a port are all that is expected before -c",
                    ));
                }
            }
        }
        Ok(())
    }

    fn flags(&mut self, flags: &[u8]) -> Result<(), Failure> {
        for flag in flags {
            match flag {
                b'4' => self.settings.family = Family::V4,
                b'6' => self.settings.family = Family::V6,
                b'v' => self.settings.quiet = false,
                b'l' => self.literal = true,
                b'm' => self.settings.ascii = is_ascii(&self.value("-m")?)?,
                b'R' => self.settings.ports = ports(&self.value("-R")?)?,
                b'c' => self.command = Some(self.arguments.drain(..).collect()),
                other => {
                    let flag = char::from(*other).escape_default();
                    return Err(usage(&format!("there is no option -{flag}")));
                }
            }
        }
        Ok(())
    }

    fn value(&mut self, flag: &str) -> Result<String, Failure> {
        let value = self.arguments.pop_front();
        text(value.ok_or_else(|| usage(&format!("{flag} needs a value")))?)
    }

    /// Returns the commands after `-c`.
    fn commands(&self, command: Vec<OsString>) -> Result<Vec<Command>, Failure> {
        let mut words = command.into_iter();
        let verb = words.next().unwrap_or_default();
        let files: Vec<OsString> = words.collect();
        match (verb.as_bytes(), files.as_slice()) {
            (b"get" | b"put", []) => Err(usage("-c get and -c put need a file")),
            (b"get", [remote]) => Ok(vec![self.get(remote, None)?]),
            (b"get", [remote, local]) => Ok(vec![self.get(remote, Some(local))?]),
            (b"get", many) => many.iter().map(|remote| self.get(remote, None)).collect(),
            (b"put", [local]) => Ok(vec![self.put(local, local, None)?]),
            (b"put", [local, remote]) => Ok(vec![self.put(local, remote, None)?]),
            (b"put", [many @ .., folder]) => many
                .iter()
                .map(|local| self.put(local, folder, Some(local)))
                .collect(),
            _ => Err(usage("-c is followed by get or put")),
        }
    }

    fn get(&self, remote: &OsStr, local: Option<&OsString>) -> Result<Command, Failure> {
        Ok(Command::Get {
            url: self.url(remote)?,
            output: local.map(PathBuf::from),
            settings: self.settings.clone(),
        })
    }

    /// Sends `local` as `remote`, or into the folder `remote` under the name of `inside`.
    fn put(
        &self,
        local: &OsStr,
        remote: &OsStr,
        inside: Option<&OsString>,
    ) -> Result<Command, Failure> {
        let mut url = self.url(remote)?;
        if let Some(name) = inside.and_then(|inside| Path::new(inside).file_name()) {
            url.path.push(b'/');
            url.path.extend_from_slice(name.as_bytes());
        }
        Ok(Command::Put {
            file: local.into(),
            url,
            settings: self.settings.clone(),
        })
    }

    /// Returns a file on the server; `host:file` names another server, unless names are literal.
    fn url(&self, remote: &OsStr) -> Result<Url, Failure> {
        let bytes = remote.as_bytes();
        let colon = bytes.iter().position(|byte| *byte == b':');
        let (host, path) = match colon.filter(|_| !self.literal) {
            Some(colon) => {
                let (host, path) = bytes.split_at(colon);
                let host = String::from_utf8_lossy(host).into_owned();
                (Some(host), path.get(1..).unwrap_or_default())
            }
            None => (self.host.clone(), bytes),
        };
        Ok(Url {
            host: host.ok_or_else(|| usage("no host is given"))?,
            port: self.port.unwrap_or(TFTP),
            path: path.to_vec(),
            mode: None,
        })
    }
}

fn is_ascii(mode: &str) -> Result<bool, Failure> {
    match mode {
        "ascii" | "netascii" => Ok(true),
        "binary" | "octet" | "image" => Ok(false),
        _ => Err(usage(&format!(
            "{mode:?} is no mode: write binary or ascii"
        ))),
    }
}

fn port(text: &str) -> Result<u16, Failure> {
    let port = match text {
        "tftp" => Some(TFTP),
        _ => text.parse().ok().filter(|port| *port != 0),
    };
    port.ok_or_else(|| usage(&format!("{text:?} is no port")))
}

/// Parses the local ports, `A:B`.
fn ports(text: &str) -> Result<PortSpec, Failure> {
    let spec = text.replace(':', "-").parse();
    spec.map_err(|error| usage(&format!("{text:?} is no range of ports A:B")).because(&error))
}

fn text(argument: OsString) -> Result<String, Failure> {
    let bytes = |argument: OsString| argument.into_vec().escape_ascii().to_string();
    argument
        .into_string()
        .map_err(|argument| usage(&format!("{} is not UTF-8", bytes(argument))))
}

fn usage(what: &str) -> Failure {
    Failure::new(Exit::Usage, what)
        .hint("write tftp HOST [PORT] -c get FILE [LOCAL], or see tftp --help")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    /// Returns a summary of the commands of a line.
    fn read(line: &str) -> Result<Vec<String>, String> {
        let commands = parse(words(line)).map_err(|failure| failure.to_string())?;
        let shown = commands.iter().map(|command| match command {
            Command::Get { url, output, .. } => {
                format!("get {} {} to {output:?}", server(url), path(url))
            }
            Command::Put { file, url, .. } => {
                format!("put {} to {} {}", file.display(), server(url), path(url))
            }
            Command::Probe { .. } => "probe".to_owned(),
        });
        Ok(shown.collect())
    }

    fn server(url: &Url) -> String {
        format!("{}:{}", url.host, url.port)
    }

    fn path(url: &Url) -> String {
        url.path.escape_ascii().to_string()
    }

    #[track_caller]
    fn expect(line: &str, commands: &[&str]) {
        assert_eq!(read(line).expect(line), commands, "{line}");
    }

    #[test]
    fn host_port_and_options_come_in_any_order_before_c() {
        for line in [
            "boot -m binary -c get x",
            "-m binary boot -c get x",
            "-4 -v boot 69 -m octet -c get x",
            "-4vm octet boot tftp -lc get x",
        ] {
            expect(line, &["get boot:69 x to None"]);
        }
        expect(
            "boot 6969 -c get a/b c",
            &["get boot:6969 a/b to Some(\"c\")"],
        );
    }

    #[test]
    fn several_files_are_fetched_one_by_one_and_sent_into_a_folder() {
        expect(
            "h -c get a b c",
            &[
                "get h:69 a to None",
                "get h:69 b to None",
                "get h:69 c to None",
            ],
        );
        expect("h -c put a", &["put a to h:69 a"]);
        expect("h -c put a b", &["put a to h:69 b"]);
        expect(
            "h -c put x/a b dir",
            &["put x/a to h:69 dir/a", "put b to h:69 dir/b"],
        );
    }

    #[test]
    fn a_file_may_name_its_host_unless_names_are_literal() {
        expect("h -c get other:x", &["get other:69 x to None"]);
        expect("-c get other:x", &["get other:69 x to None"]);
        expect("h -l -c get other:x", &["get h:69 other:x to None"]);
    }

    #[test]
    fn each_mistake_is_named() {
        for (line, named) in [
            ("h", "no command is given"),
            ("h -c", "-c is followed by get or put"),
            ("h -c get", "need a file"),
            ("h -c mput x", "-c is followed by get or put"),
            ("h 0 -c get x", "\"0\" is no port"),
            ("h 69 70 -c get x", "a host and a port"),
            ("h -m ebcdic -c get x", "\"ebcdic\" is no mode"),
            ("h -m", "-m needs a value"),
            ("h -x -c get x", "no option -x"),
            ("h -R 9 -R b -c get x", "no range of ports"),
            ("-c get x", "no host is given"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn a_subcommand_is_not_taken_for_a_host() {
        for command in [
            "get tftp://h/x",
            "put x h:x",
            "probe h",
            "-h",
            "--help",
            "-V",
            "",
        ] {
            assert!(!is_meant(&words(command)), "{command}");
        }
        for line in ["h", "h -c get x", "-4 h -c get x", "-c get h:x"] {
            assert!(is_meant(&words(line)), "{line}");
        }
    }
}
