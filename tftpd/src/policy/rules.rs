//! Ordered rules that rewrite or refuse names.

mod decision;
mod rule;
mod template;

pub use decision::{Decision, Effect, MAX_STEPS, RewriteError, Step, Then};
pub use rule::{Rule, RuleBuilder, RuleError};
pub use template::TemplateError;

pub(super) use rule::{Action, Family, Flow, Repeat, compile};
pub(super) use template::{Case, Part, Source, Template};

use std::net::IpAddr;

use regex::bytes::Captures;

use super::{Name, NameError, path::MAX_NAME};
use crate::proto::Direction;

/// The work of one decision beyond one match of every rule against a long name, in bytes matched.
/// A name of 60 bytes can be rewritten some 800 times; a loop ends within milliseconds.
const EXTRA_WORK: usize = 64 * 1024;

/// The work of one match besides its bytes, so that empty names are not free.
const MATCH_COST: usize = 16;

/// An ordered list of rules that rewrite or deny names.
///
/// The rules of a configuration match the normalised [`Name`]; the first that matches decides,
/// unless it has [`keep_going`](RuleBuilder::keep_going). The rules of a tftp-hpa map file
/// ([`from_map_file`](Self::from_map_file)) match the bytes of the request, and all of them are
/// tried. In both cases the result is normalised again: no rule leads out of the root.
///
/// The work for one name is bounded for all rules and names: patterns match in time linear in the
/// name, and a loop of rules is stopped.
///
/// ```
/// use std::net::IpAddr;
/// use tftpd::{policy::{Rule, Rules, explain::Query}, proto::Direction};
///
/// let rules = Rules::new([
///     Rule::matching(r"^pxelinux\.cfg/(?<mac>01-[0-9a-f-]{17})$")
///         .ignore_case()
///         .rewrite("hosts/${lower(mac)}.cfg")
///         .build()?,
/// ]);
/// let name = br"\pxelinux.cfg\01-52-54-00-AB-00-01";
/// let client = IpAddr::from([10, 0, 3, 7]);
/// let decision = rules.decide(&Query::new(name, client, Direction::Read));
/// let name = decision.verdict.expect("nothing refuses it");
/// assert_eq!(name.as_bytes(), b"hosts/01-52-54-00-ab-00-01.cfg");
/// assert_eq!(
///     decision.steps[0].to_string(),
///     r#"rule 1 rewrote it to "hosts/01-52-54-00-ab-00-01.cfg" and stopped"#,
/// );
/// # Ok::<(), tftpd::policy::RuleError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    subject: Subject,
}

/// A request as the rules see it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Query<'a> {
    /// The name as the request has it.
    pub name: &'a [u8],
    /// The client's address; an IPv4 address mapped into IPv6 counts as the IPv4 address.
    pub client: IpAddr,
    /// The direction of the transfer.
    pub direction: Direction,
}

impl<'a> Query<'a> {
    /// Returns a query for `name`, as the request has it, from `client`.
    pub const fn new(name: &'a [u8], client: IpAddr, direction: Direction) -> Self {
        Self {
            name,
            client,
            direction,
        }
    }
}

/// The input of the first rule.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Subject {
    #[default]
    Name,
    /// The bytes of the request: map files have their own rules for slashes and drives.
    AsSent,
}

impl Rules {
    /// Returns the rules of a configuration, numbered from 1 in this order.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        let mut rules: Vec<Rule> = rules.into_iter().collect();
        for (rule, number) in rules.iter_mut().zip(1..) {
            rule.number = number;
        }
        Self {
            rules,
            subject: Subject::Name,
        }
    }

    /// Returns rules with line numbers that match the bytes of the request.
    pub(super) fn numbered(rules: Vec<Rule>) -> Self {
        Self {
            rules,
            subject: Subject::AsSent,
        }
    }

    /// Returns the number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Returns true if there are no rules: every name then stays as it is.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Applies the rules and returns the file name, or the reason of the refusal.
    pub fn decide(&self, query: &Query<'_>) -> Decision {
        let mut run = Run {
            query: Query {
                client: query.client.to_canonical(),
                ..*query
            },
            work_left: EXTRA_WORK.saturating_add(self.rules.len().saturating_mul(MAX_NAME)),
            steps: Vec::new(),
            quiet_missing: false,
        };
        let verdict = self
            .first_subject(query.name)
            .and_then(|subject| run.through(&self.rules, subject));
        Decision {
            verdict,
            steps: run.steps,
            quiet_missing: run.quiet_missing,
        }
    }

    fn first_subject(&self, sent: &[u8]) -> Result<Vec<u8>, RewriteError> {
        match self.subject {
            Subject::Name => Ok(Name::from_request(sent)?.as_bytes().to_vec()),
            Subject::AsSent => bounded(sent.to_vec()),
        }
    }
}

/// The state of one decision.
struct Run<'a> {
    query: Query<'a>,
    work_left: usize,
    steps: Vec<Step>,
    quiet_missing: bool,
}

impl Run<'_> {
    fn through(&mut self, rules: &[Rule], mut subject: Vec<u8>) -> Result<Name, RewriteError> {
        let mut at = 0;
        while let Some(rule) = rules.get(at) {
            at = match self.apply(rule, &mut subject)? {
                Flow::Next => at + 1,
                Flow::Stop => break,
                Flow::Restart => 0,
                Flow::Jump(target) => target,
            };
        }
        Ok(Name::from_request(&subject)?)
    }

    fn apply(&mut self, rule: &Rule, subject: &mut Vec<u8>) -> Result<Flow, RewriteError> {
        if !rule.concerns(&self.query) {
            return Ok(Flow::Next);
        }
        self.spend(rule, subject)?;
        let effect = match &rule.action {
            Action::Rewrite(template, repeat) => self
                .rewrite(rule, template, *repeat, subject)?
                .map(|rewritten| {
                    subject.clone_from(&rewritten);
                    Effect::Rewrote { to: rewritten }
                }),
            Action::Keep => rule.matches(subject).then_some(Effect::Kept),
            Action::Deny(text) => rule.matches(subject).then(|| Effect::Denied {
                text: text.as_ref().map(|text| self.expand(text, rule, subject)),
            }),
        };
        let Some(effect) = effect else {
            return Ok(Flow::Next);
        };
        self.quiet_missing |= rule.quiet_missing;
        let denied = match &effect {
            Effect::Denied { text } => Some(RewriteError::Denied {
                rule: rule.number,
                text: text.clone(),
            }),
            _ => None,
        };
        if self.steps.len() < MAX_STEPS {
            self.steps.push(Step::new(rule, effect));
        }
        denied.map_or(Ok(rule.flow), Err)
    }

    /// Returns the rewritten subject; `None` if the rule does not match.
    fn rewrite(
        &mut self,
        rule: &Rule,
        template: &Template,
        repeat: Repeat,
        subject: &[u8],
    ) -> Result<Option<Vec<u8>>, RewriteError> {
        match repeat {
            Repeat::Once => self.replace_first(rule, template, subject),
            Repeat::UntilNoMatch => {
                let mut rewritten = self.replace_first(rule, template, subject)?;
                while let Some(current) = &rewritten {
                    self.spend(rule, current)?;
                    match self.replace_first(rule, template, current)? {
                        Some(next) => rewritten = Some(next),
                        None => break,
                    }
                }
                Ok(rewritten)
            }
            Repeat::Each => self.replace_each(rule, template, subject),
        }
    }

    fn replace_first(
        &self,
        rule: &Rule,
        template: &Template,
        subject: &[u8],
    ) -> Result<Option<Vec<u8>>, RewriteError> {
        let Some(captures) = rule.regex.captures(subject) else {
            return Ok(None);
        };
        let (before, _, after) = around(&captures, subject);
        let mut out = before.to_vec();
        template.expand(Some(&captures), self.query.client, &mut out);
        out.extend_from_slice(after);
        bounded(out).map(Some)
    }

    fn replace_each(
        &mut self,
        rule: &Rule,
        template: &Template,
        subject: &[u8],
    ) -> Result<Option<Vec<u8>>, RewriteError> {
        let (mut out, mut copied, mut matched) = (Vec::new(), 0, false);
        for captures in rule.regex.captures_iter(subject) {
            self.spend(rule, subject)?;
            let (before, end, _) = around(&captures, subject);
            out.extend_from_slice(before.get(copied..).unwrap_or_default());
            template.expand(Some(&captures), self.query.client, &mut out);
            (out, copied, matched) = (bounded(out)?, end, true);
        }
        out.extend_from_slice(subject.get(copied..).unwrap_or_default());
        bounded(out).map(|out| matched.then_some(out))
    }

    fn expand(&self, template: &Template, rule: &Rule, subject: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let captures = rule.regex.captures(subject);
        template.expand(captures.as_ref(), self.query.client, &mut out);
        out
    }

    fn spend(&mut self, rule: &Rule, subject: &[u8]) -> Result<(), RewriteError> {
        let left = self.work_left.checked_sub(subject.len() + MATCH_COST);
        self.work_left = left.ok_or(RewriteError::Endless { rule: rule.number })?;
        Ok(())
    }
}

/// Returns the bytes before a match, the end of the match, and the bytes after it.
fn around<'s>(captures: &Captures<'_>, subject: &'s [u8]) -> (&'s [u8], usize, &'s [u8]) {
    let (start, end) = captures
        .get(0)
        .map_or((0, 0), |whole| (whole.start(), whole.end()));
    (
        subject.get(..start).unwrap_or_default(),
        end,
        subject.get(end..).unwrap_or_default(),
    )
}

fn bounded(name: Vec<u8>) -> Result<Vec<u8>, RewriteError> {
    if name.len() > MAX_NAME {
        return Err(RewriteError::NoName(NameError::TooLong {
            length: name.len(),
            limit: MAX_NAME,
        }));
    }
    Ok(name)
}

#[cfg(test)]
mod tests;
