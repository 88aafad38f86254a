//! The replacement of a line: text with `\` escapes.

use regex::bytes::Regex;

use super::{MapFileLineError, lossy};
use crate::policy::rules::{Case, Part, Source, Template};

/// Parses a replacement for matches of `regex`.
pub(super) fn template(text: &[u8], regex: &Regex) -> Result<Template, MapFileLineError> {
    let parts = parts(text);
    let groups = regex.captures_len().saturating_sub(1);
    let missing = parts.iter().find_map(|part| match part.source {
        Source::Group(group) if group > groups => Some(group),
        _ => None,
    });
    match missing {
        Some(group) => Err(MapFileLineError::NoGroup { group, groups }),
        None => Ok(Template::from_parts(parts)),
    }
}

/// Parses the label of a jump: text without variables.
pub(super) fn label(text: &[u8]) -> Result<String, MapFileLineError> {
    let mut label = Vec::new();
    for part in parts(text) {
        match (part.source, part.case) {
            (Source::Literal(text), Case::AsIs) => label.extend(text),
            _ => {
                return Err(MapFileLineError::unsupported(
                    format!("the label {:?}, put together from a match,", lossy(text)),
                    "write one rule for each label",
                ));
            }
        }
    }
    Ok(lossy(&label))
}

fn parts(text: &[u8]) -> Vec<Part> {
    let (mut parts, mut case) = (Parts::default(), Case::AsIs);
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            parts.literal(byte, case);
            continue;
        }
        match bytes.next() {
            Some(digit @ b'0'..=b'9') => {
                parts.variable(Source::Group(usize::from(digit - b'0')), case);
            }
            Some(b'i') => parts.variable(Source::Client, case),
            Some(b'x') => parts.variable(Source::ClientHex, case),
            Some(b'U') => case = Case::Upper,
            Some(b'L') => case = Case::Lower,
            Some(b'E') => case = Case::AsIs,
            Some(other) => parts.literal(other, case),
            None => parts.literal(b'\\', case),
        }
    }
    parts.0
}

#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn literal(&mut self, byte: u8, case: Case) {
        match self.0.last_mut() {
            Some(Part {
                source: Source::Literal(text),
                case: last,
            }) if *last == case => text.push(byte),
            _ => self.variable(Source::Literal(vec![byte]), case),
        }
    }

    fn variable(&mut self, source: Source, case: Case) {
        self.0.push(Part { source, case });
    }
}
