//! Decisions of the rules, step by step.
//!
//! ```
//! use tftpd::{policy::{Rule, Rules, explain::Query}, proto::Direction};
//!
//! let rules = Rules::new([Rule::matching("^old/").rewrite("new/").build()?]);
//! let decision = rules.decide(&Query::new(b"/old/x", [10, 0, 3, 7].into(), Direction::Read));
//! assert_eq!(decision.steps[0].to_string(), r#"rule 1 rewrote it to "new/x" and stopped"#);
//! # Ok::<(), tftpd::policy::RuleError>(())
//! ```

pub use super::rules::{Decision, Effect, MAX_STEPS, Query, RewriteError, Step, Then};
