//! The letters at the beginning of a line.

use regex::bytes::Regex;

use super::{Action, Flow, MapFileLineError, Rule, lossy, replacement};
use crate::{
    policy::rules::{Family, Repeat},
    proto::Direction,
};

/// The operation that the letters of one line describe.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub(super) act: Act,
    /// The number of `g`.
    globals: u8,
    pub(super) ignore_case: bool,
    inverted: bool,
    direction: Option<Direction>,
    family: Option<Family>,
    flow: Flow,
}

/// The action of a rule that matches; a line has at most one of these letters.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Act {
    Keep,
    Rewrite,
    Deny,
    Jump,
}

/// Pairs that contradict each other, as tftp-hpa 7 refuses them, and the two filters that exclude
/// every request.
const CLASHES: [(char, char); 11] = [
    ('r', '~'),
    ('r', 'a'),
    ('r', 'j'),
    ('a', 'j'),
    ('a', 's'),
    ('a', 'e'),
    ('e', 'j'),
    ('e', 's'),
    ('s', 'j'),
    ('G', 'P'),
    ('4', '6'),
];

impl Operation {
    pub(super) fn parse(letters: &[u8]) -> Result<Self, MapFileLineError> {
        let letters = lossy(letters);
        let clash = CLASHES
            .iter()
            .find(|(a, b)| letters.contains(*a) && letters.contains(*b));
        if let Some(&(a, b)) = clash {
            return Err(MapFileLineError::Clash(a, b));
        }
        let mut operation = Self {
            act: Act::Keep,
            globals: 0,
            ignore_case: false,
            inverted: false,
            direction: None,
            family: None,
            flow: Flow::Next,
        };
        letters.chars().try_for_each(|c| operation.add(c))?;
        Ok(operation)
    }

    fn add(&mut self, letter: char) -> Result<(), MapFileLineError> {
        match letter {
            'r' => self.act = Act::Rewrite,
            'g' => self.globals = self.globals.saturating_add(1),
            'i' => self.ignore_case = true,
            '~' => self.inverted = true,
            'e' => self.flow = Flow::Stop,
            's' => self.flow = Flow::Restart,
            'j' => self.act = Act::Jump,
            'a' => self.act = Act::Deny,
            'G' => self.direction = Some(Direction::Read),
            'P' => self.direction = Some(Direction::Write),
            '4' => self.family = Some(Family::V4),
            '6' => self.family = Some(Family::V6),
            'E' => {
                return Err(MapFileLineError::unsupported(
                    "'E', which tests for the file,",
                    "rules look at names only; write 'e' and match the names that exist",
                ));
            }
            other => return Err(MapFileLineError::UnknownOperation(other)),
        }
        Ok(())
    }

    /// Returns the rule; a jump's target is set later.
    pub(super) fn into_rule(
        self,
        number: u32,
        regex: Regex,
        replacement: Option<&[u8]>,
    ) -> Result<Rule, MapFileLineError> {
        let action = self.action(&regex, replacement)?;
        Ok(Rule {
            number,
            regex,
            inverted: self.inverted,
            direction: self.direction,
            family: self.family,
            action,
            flow: self.flow,
            quiet_missing: false,
        })
    }

    fn action(self, regex: &Regex, replacement: Option<&[u8]>) -> Result<Action, MapFileLineError> {
        let template = |text| replacement::template(text, regex);
        match (self.act, replacement) {
            (Act::Rewrite, text) => {
                let repeat = match self.globals {
                    0 => Repeat::Once,
                    1 => Repeat::UntilNoMatch,
                    _ => Repeat::Each,
                };
                Ok(Action::Rewrite(template(text.unwrap_or_default())?, repeat))
            }
            (Act::Deny, text) => Ok(Action::Deny(text.map(template).transpose()?)),
            (Act::Keep | Act::Jump, None) => Ok(Action::Keep),
            (Act::Keep | Act::Jump, Some(idle)) => {
                Err(MapFileLineError::IdleReplacement(lossy(idle)))
            }
        }
    }
}
