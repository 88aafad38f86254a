//! The findings of a doctor as text, as JSON and as an exit status.

use serde_json::{Value, json};

use super::exit::Exit;
use crate::doctor::{Finding, Severity};

/// The findings of one examination, the gravest first.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Sorts findings by severity; those of one severity keep their order.
    pub fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Self(findings)
    }

    /// Returns true if a finding has this severity or a graver one.
    pub fn reach(&self, severity: Severity) -> bool {
        self.0.iter().any(|finding| finding.severity >= severity)
    }

    /// Returns true if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the findings as text: for each what it is, why that matters and how to fix it.
    pub fn text(&self) -> String {
        if self.0.is_empty() {
            return "nothing to report\n".into();
        }
        let lines = self.0.iter().map(|finding| format!("{finding}\n"));
        lines.collect()
    }

    /// Returns the object `{"findings": [{"code", "severity", "what", "why", "fix"}, …]}`. The
    /// severity is `info`, `warning` or `error`; `fix` is null if nothing has to be done.
    pub fn json(&self) -> Value {
        json!({ "findings": self })
    }

    /// Returns the exit status of a doctor: [`Exit::Config`] if there is an error, else
    /// [`Exit::Success`]. A warning is printed and changes nothing: the machine works, and a unit
    /// that runs a doctor before its server must not keep the server from starting.
    pub fn exit(&self) -> Exit {
        if self.reach(Severity::Error) {
            Exit::Config
        } else {
            Exit::Success
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity) -> Finding {
        Finding::new(
            "range-in-use",
            severity,
            "port 61000 is held",
            "it is skipped",
        )
    }

    #[test]
    fn the_json_shape_is_an_object_with_a_list() {
        let findings = Findings::new(vec![
            finding(Severity::Info),
            finding(Severity::Error).fix("run: true"),
        ]);
        let expected = r#"{
  "findings": [
    {
      "code": "range-in-use",
      "fix": "run: true",
      "severity": "error",
      "what": "port 61000 is held",
      "why": "it is skipped"
    },
    {
      "code": "range-in-use",
      "fix": null,
      "severity": "info",
      "what": "port 61000 is held",
      "why": "it is skipped"
    }
  ]
}"#;
        assert_eq!(format!("{:#}", findings.json()), expected);
        assert_eq!(Findings::default().json().to_string(), r#"{"findings":[]}"#);
    }

    #[test]
    fn the_text_is_the_findings_or_one_line() {
        let findings = Findings::new(vec![finding(Severity::Warning)]);
        assert_eq!(
            findings.text(),
            "warning: port 61000 is held [range-in-use]\n  why: it is skipped\n"
        );
        assert_eq!(Findings::default().text(), "nothing to report\n");
    }

    #[test]
    fn only_an_error_changes_the_exit_status() {
        for (severity, exit) in [
            (Severity::Info, Exit::Success),
            (Severity::Warning, Exit::Success),
            (Severity::Error, Exit::Config),
        ] {
            assert_eq!(Findings::new(vec![finding(severity)]).exit(), exit);
        }
    }
}
