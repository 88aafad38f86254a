//! One rule: its pattern, its action, its continuation.

use std::net::IpAddr;

use regex::bytes::{Regex, RegexBuilder};

use super::{
    Query,
    template::{Template, TemplateError},
};
use crate::proto::Direction;

/// The most memory that a compiled pattern may take, in bytes.
const MAX_COMPILED: usize = 1 << 20;

/// One rule of [`Rules`](super::Rules), built with [`Rule::matching`].
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its number in the configuration, or its line in the map file.
    pub(in crate::policy) number: u32,
    pub(in crate::policy) regex: Regex,
    /// Set when it applies to the names that the pattern does *not* match.
    pub(in crate::policy) inverted: bool,
    pub(in crate::policy) direction: Option<Direction>,
    pub(in crate::policy) family: Option<Family>,
    pub(in crate::policy) action: Action,
    pub(in crate::policy) flow: Flow,
    pub(in crate::policy) quiet_missing: bool,
}

#[derive(Clone, Debug)]
pub(in crate::policy) enum Action {
    /// Leave the name as it is; only the continuation has an effect.
    Keep,
    /// Replace the match by the template.
    Rewrite(Template, Repeat),
    /// Refuse, possibly with a text for the client.
    Deny(Option<Template>),
}

#[derive(Clone, Copy, Debug)]
pub(in crate::policy) enum Repeat {
    Once,
    /// From the beginning of the result, until nothing matches.
    UntilNoMatch,
    /// Each match in the original, left to right.
    Each,
}

/// The continuation after a rule that matched.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) enum Flow {
    Next,
    Stop,
    Restart,
    /// To the rule with this index.
    Jump(usize),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::policy) enum Family {
    V4,
    V6,
}

impl Rule {
    /// Begins a rule for names that contain a match of `pattern`.
    ///
    /// The syntax is that of the [`regex`](https://docs.rs/regex/latest/regex/#syntax) crate over
    /// bytes: `^` and `$` are the ends of the name, `.` is any byte, `\xff` is that byte, classes
    /// like `\w` are ASCII. Without an action the rule keeps the name as it is.
    pub fn matching(pattern: &str) -> RuleBuilder<'_> {
        RuleBuilder {
            pattern,
            ignore_case: false,
            direction: None,
            action: ActionSpec::Keep,
            keep_going: false,
            quiet_missing: false,
        }
    }

    pub(in crate::policy) fn matches(&self, subject: &[u8]) -> bool {
        self.regex.is_match(subject) != self.inverted
    }

    /// Returns true if the rule applies to requests of this direction and address family.
    pub(in crate::policy) fn concerns(&self, query: &Query<'_>) -> bool {
        let family = match query.client {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        };
        self.direction.is_none_or(|only| only == query.direction)
            && self.family.is_none_or(|only| only == family)
    }
}

/// The builder of a [`Rule`].
#[derive(Clone, Debug)]
#[must_use = "a rule is made by `build`"]
pub struct RuleBuilder<'a> {
    pattern: &'a str,
    ignore_case: bool,
    direction: Option<Direction>,
    action: ActionSpec<'a>,
    keep_going: bool,
    quiet_missing: bool,
}

#[derive(Clone, Copy, Debug)]
enum ActionSpec<'a> {
    Keep,
    Rewrite(&'a str),
    Deny,
}

impl<'a> RuleBuilder<'a> {
    /// Ignores case (ASCII only).
    pub fn ignore_case(mut self) -> Self {
        self.ignore_case = true;
        self
    }

    /// Restricts the rule to requests of this direction.
    pub fn only(mut self, direction: Direction) -> Self {
        self.direction = Some(direction);
        self
    }

    /// Replaces the match by `template`.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `${0}` | the whole match |
    /// | `${1}` to `${9}`, `${name}` | the match of that group of the pattern, or nothing |
    /// | `${client}` | the client's address: `192.0.2.169`, `2001:db8::1` |
    /// | `${client_hex}` | the same as PXELINUX spells it: `C00002A9`, 32 digits for IPv6 |
    /// | `${lower(…)}`, `${upper(…)}` | one of the above in lower or upper case (ASCII) |
    /// | `$$` | a dollar sign |
    pub fn rewrite(mut self, template: &'a str) -> Self {
        self.action = ActionSpec::Rewrite(template);
        self
    }

    /// Refuses the request.
    pub fn deny(mut self) -> Self {
        self.action = ActionSpec::Deny;
        self
    }

    /// Continues with the next rule after a match.
    pub fn keep_going(mut self) -> Self {
        self.keep_going = true;
        self
    }

    /// Marks names that clients probe for, so that a missing file is not logged.
    pub fn quiet_missing(mut self) -> Self {
        self.quiet_missing = true;
        self
    }

    /// Builds the rule.
    ///
    /// # Errors
    /// [`RuleError`] if the pattern or the template is wrong.
    pub fn build(self) -> Result<Rule, RuleError> {
        let regex =
            compile(self.pattern, self.ignore_case).map_err(|reason| RuleError::Pattern {
                pattern: self.pattern.to_owned(),
                reason,
            })?;
        let action = match self.action {
            ActionSpec::Keep => Action::Keep,
            ActionSpec::Deny => Action::Deny(None),
            ActionSpec::Rewrite(template) => {
                Action::Rewrite(Template::parse(template, &regex)?, Repeat::Once)
            }
        };
        Ok(Rule {
            number: 0,
            regex,
            inverted: false,
            direction: self.direction,
            family: None,
            action,
            flow: if self.keep_going {
                Flow::Next
            } else {
                Flow::Stop
            },
            quiet_missing: self.quiet_missing,
        })
    }
}

/// The reason why a rule cannot be built.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The pattern is not a regular expression, or too large a one.
    #[error("the pattern {pattern:?} is not usable: {reason}")]
    Pattern {
        /// The pattern as written.
        pattern: String,
        /// The error of the compiler, possibly over several lines.
        reason: String,
    },
    /// The template is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Compiles a pattern over bytes; the error is a message for a person.
pub(in crate::policy) fn compile(pattern: &str, ignore_case: bool) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .dot_matches_new_line(true)
        .case_insensitive(ignore_case)
        .size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| error.to_string())
}
