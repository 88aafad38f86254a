//! Templates: the replacement text of a rule.

use std::net::IpAddr;

use regex::bytes::{Captures, Regex};

/// Text with variables; [`RuleBuilder::rewrite`](super::RuleBuilder::rewrite) lists them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::policy) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::policy) struct Part {
    pub(in crate::policy) source: Source,
    pub(in crate::policy) case: Case,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::policy) enum Source {
    Literal(Vec<u8>),
    Group(usize),
    Client,
    ClientHex,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::policy) enum Case {
    #[default]
    AsIs,
    Lower,
    Upper,
}

/// The reason why a template cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A `$` that begins neither a variable nor `$$`.
    #[error("a lone '$' in {template:?}: write '$$' for a dollar sign, '${{1}}' for a group")]
    LoneDollar {
        /// The template as written.
        template: String,
    },
    /// A `${` without its `}`.
    #[error("a '${{' without its '}}' in {template:?}")]
    Unclosed {
        /// The template as written.
        template: String,
    },
    /// A variable that is neither built in nor a group of the pattern.
    #[error(
        "there is no variable {name:?} here: known are client, client_hex, \
         the groups of the pattern by number or name, and lower(…) and upper(…) of these"
    )]
    UnknownVariable {
        /// The text between the braces.
        name: String,
    },
}

impl Template {
    /// Parses a template for matches of `pattern`.
    pub(in crate::policy) fn parse(text: &str, pattern: &Regex) -> Result<Self, TemplateError> {
        Self::parse_with(text, |name| group_of(pattern, name))
    }

    /// Parses a template without a pattern: no groups.
    pub(in crate::policy) fn parse_plain(text: &str) -> Result<Self, TemplateError> {
        Self::parse_with(text, |_| None)
    }

    pub(in crate::policy) fn from_parts(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    fn parse_with(
        text: &str,
        group: impl Fn(&str) -> Option<usize>,
    ) -> Result<Self, TemplateError> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('$') {
            push_literal(&mut parts, before);
            if let Some(after) = after.strip_prefix('$') {
                push_literal(&mut parts, "$");
                rest = after;
                continue;
            }
            let template = || text.to_owned();
            let variable = after
                .strip_prefix('{')
                .ok_or_else(|| TemplateError::LoneDollar {
                    template: template(),
                })?;
            let (name, after) =
                variable
                    .split_once('}')
                    .ok_or_else(|| TemplateError::Unclosed {
                        template: template(),
                    })?;
            parts.push(variable_part(name, &group)?);
            rest = after;
        }
        push_literal(&mut parts, rest);
        Ok(Self { parts })
    }

    /// Appends the text for one match and one client.
    pub(in crate::policy) fn expand(
        &self,
        captures: Option<&Captures<'_>>,
        client: IpAddr,
        out: &mut Vec<u8>,
    ) {
        for part in &self.parts {
            let start = out.len();
            match &part.source {
                Source::Literal(text) => out.extend_from_slice(text),
                Source::Group(number) => {
                    let group = captures.and_then(|captures| captures.get(*number));
                    out.extend_from_slice(group.map_or(b"", |group| group.as_bytes()));
                }
                Source::Client => out.extend_from_slice(client.to_string().as_bytes()),
                Source::ClientHex => out.extend_from_slice(hex(client).as_bytes()),
            }
            let added = out.get_mut(start..).unwrap_or_default();
            match part.case {
                Case::AsIs => {}
                Case::Lower => added.make_ascii_lowercase(),
                Case::Upper => added.make_ascii_uppercase(),
            }
        }
    }
}

fn push_literal(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part {
            source: Source::Literal(text.as_bytes().to_vec()),
            case: Case::AsIs,
        });
    }
}

fn variable_part(
    variable: &str,
    group: &impl Fn(&str) -> Option<usize>,
) -> Result<Part, TemplateError> {
    let within = |function: &str| {
        variable
            .strip_prefix(function)
            .and_then(|rest| rest.strip_prefix('('))
            .and_then(|rest| rest.strip_suffix(')'))
    };
    let (name, case) = if let Some(name) = within("lower") {
        (name, Case::Lower)
    } else if let Some(name) = within("upper") {
        (name, Case::Upper)
    } else {
        (variable, Case::AsIs)
    };
    let source = match name {
        "client" => Source::Client,
        "client_hex" => Source::ClientHex,
        name => Source::Group(group(name).ok_or_else(|| TemplateError::UnknownVariable {
            name: variable.to_owned(),
        })?),
    };
    Ok(Part { source, case })
}

/// Returns the group of this name or number, if the pattern has it.
fn group_of(pattern: &Regex, name: &str) -> Option<usize> {
    match name.parse() {
        Ok(number) => Some(number).filter(|&number| number < pattern.captures_len()),
        Err(_) => pattern
            .capture_names()
            .position(|known| known == Some(name)),
    }
}

fn hex(client: IpAddr) -> String {
    match client {
        IpAddr::V4(address) => format!("{:08X}", address.to_bits()),
        IpAddr::V6(address) => format!("{:032X}", address.to_bits()),
    }
}
