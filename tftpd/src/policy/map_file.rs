//! Map files of tftp-hpa, parsed into [`Rules`].

mod ere;
mod error;
mod operation;
mod replacement;

pub use error::{MapFileError, MapFileLineError};

use std::collections::HashMap;

use super::rules::{Action, Flow, Rule, Rules, compile};
use operation::{Act, Operation};

impl Rules {
    /// Parses a map file of tftp-hpa (`in.tftpd --map-file`, 5.2 and 7.x).
    ///
    /// ```text
    /// # operation  regex              replacement
    /// ri           ^[a-z]:                         # drop a drive
    /// rg           \\                 /            # Windows separators
    /// r            ^/tftpboot/(.*)    \1
    /// rGe          ^cfg$              \x.cfg       # C00002A9.cfg, and no further rule
    /// a            ^private/
    /// ```
    ///
    /// | letter | meaning |
    /// |---|---|
    /// | `r` | the match is replaced by the replacement |
    /// | `g`, `gg` | with `r`: again from the beginning until nothing matches; each match once |
    /// | `i` | upper and lower case are the same |
    /// | `~` | the rule applies if the regex does *not* match |
    /// | `e` | a match ends the processing |
    /// | `s` | a match restarts the processing at the first rule |
    /// | `j` | a match continues after the line `:label`; the replacement is the label |
    /// | `a` | a match refuses the request; the replacement is the text for the client |
    /// | `G`, `P` | for reading only, for writing only |
    /// | `4`, `6` | for IPv4 clients only, for IPv6 clients only |
    ///
    /// The replacement may contain `\0` to `\9`, `\i` (address), `\x` (address in hexadecimal), `\U`,
    /// `\L`, `\E`, and `\` before a blank, `#` or another `\`. The rules see the name as it was
    /// sent, and all of them are tried. The result is normalised like any [`Name`](super::Name).
    ///
    /// Three things differ from tftp-hpa. If a regex can match in several lengths from one place, the
    /// first alternative wins, not the longest. `gg` steps over an empty match instead of repeating
    /// it endlessly. Upper and lower case are those of ASCII in every locale.
    ///
    /// # Errors
    /// [`MapFileError`] lists each line with a mistake or an unsupported construct (`E`, which tests
    /// for the file; back references; labels made from a match).
    pub fn from_map_file(text: &[u8]) -> Result<Self, MapFileError> {
        let (mut rules, mut jumps, mut labels) = (Vec::new(), Vec::new(), HashMap::new());
        let mut error = MapFileError::default();
        for (text, number) in text.split(|&byte| byte == b'\n').zip(1..) {
            let text: Vec<u8> = text
                .iter()
                .copied()
                .filter(|b| !b"\r\0".contains(b))
                .collect();
            match read_line(&text, number) {
                Ok(Line::Blank) => {}
                Ok(Line::Rule(rule)) => rules.push(*rule),
                Ok(Line::Jump(rule, label)) => {
                    jumps.push((rules.len(), label));
                    rules.push(*rule);
                }
                Ok(Line::Label(label)) => {
                    if labels.insert(label.clone(), rules.len()).is_some() {
                        error.add(number, MapFileLineError::DuplicateLabel(label));
                    }
                }
                Err(problem) => error.add(number, problem),
            }
        }
        for (at, label) in jumps {
            let Some(rule) = rules.get_mut(at) else {
                continue;
            };
            match labels.get(&label) {
                Some(&target) => rule.flow = Flow::Jump(target),
                None => error.add(rule.number, MapFileLineError::UnknownLabel(label)),
            }
        }
        error.or(Self::numbered(rules))
    }
}

/// A parsed line.
enum Line {
    Blank,
    Label(String),
    Rule(Box<Rule>),
    /// A rule that continues after a label.
    Jump(Box<Rule>, String),
}

fn read_line(text: &[u8], number: u32) -> Result<Line, MapFileLineError> {
    let mut fields = Fields(text);
    let Some(operation) = fields.next() else {
        return Ok(Line::Blank);
    };
    if let Some(label) = operation.strip_prefix(b":") {
        return match label {
            b"" => Err(MapFileLineError::NoLabel),
            label => Ok(Line::Label(lossy(label))),
        };
    }
    let operation = Operation::parse(operation)?;
    let pattern = fields.next().ok_or(MapFileLineError::NoRegex)?;
    let replacement = fields.next();
    if let Some(surplus) = fields.next() {
        return Err(MapFileLineError::Surplus(lossy(surplus)));
    }
    let rule = |replacement| {
        let regex =
            compile(&ere::translate(pattern)?, operation.ignore_case).map_err(|reason| {
                MapFileLineError::BadRegex {
                    regex: lossy(pattern),
                    reason,
                }
            })?;
        operation.into_rule(number, regex, replacement)
    };
    if operation.act != Act::Jump {
        return Ok(Line::Rule(Box::new(rule(replacement)?)));
    }
    let label = replacement::label(replacement.ok_or(MapFileLineError::NoLabel)?)?;
    Ok(Line::Jump(Box::new(rule(None)?), label))
}

/// The fields of a line, separated by blanks, up to a `#`. A `\` escapes the byte after it and stays
/// in the field for the field's own syntax.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let blanks = self.0.iter().take_while(|&&byte| is_blank(byte)).count();
        let text = self.0.get(blanks..)?;
        let mut escaped = false;
        let end = text.iter().position(|&byte| {
            let ends = !escaped && (is_blank(byte) || byte == b'#');
            escaped = !escaped && byte == b'\\';
            ends
        });
        let (field, rest) = text.split_at(end.unwrap_or(text.len()));
        self.0 = rest;
        (!field.is_empty()).then_some(field)
    }
}

/// Returns the result of `isspace` in the C locale.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b'\x0b'
}

/// Converts bytes of the file for a message.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
