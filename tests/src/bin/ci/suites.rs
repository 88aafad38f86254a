//! All suites, run by cargo, with the sum of their result lines.

use ::tests::peers;

use crate::steps::{self, Count, Steps};

/// Builds the binaries that the suites start, then runs all tests, or those whose name contains the
/// filter. A missing program is a failure here.
///
/// Runs even if the set-up failed: several suites need no other program.
pub(crate) fn run(steps: &mut Steps, filter: Option<&str>) {
    if !steps.step("build", || {
        steps::run(&mut steps::cargo("build --workspace --all-features --bins"))
    }) {
        return;
    }
    let mut count = Count::default();
    steps.step("test", || {
        let mut command = steps::cargo("test --workspace --all-features --no-fail-fast");
        command.args(filter).env(peers::REQUIRE, "1");
        steps::watch(&mut command, |line| add(&mut count, line))?;
        if count.passed == 0 {
            Err("no test ran".to_owned())
        } else {
            Ok(String::new())
        }
    });
    steps.count(count);
}

/// Adds the numbers of a result line: `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn add(count: &mut Count, line: &str) {
    let Some(result) = line.strip_prefix("test result: ") else {
        return;
    };
    let numbers = result
        .split([';', '.'])
        .filter_map(|part| part.trim().split_once(' '));
    for (number, what) in numbers {
        let number: u32 = number.parse().unwrap_or(0);
        match what {
            "passed" => count.passed += number,
            "failed" => count.failed += number,
            "ignored" => count.ignored += number,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_and_other_lines_ignored() {
        let mut count = Count::default();
        for line in [
            "running 4 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s",
            "test result: FAILED. 9 passed; 2 failed; 0 ignored; 0 measured; 5 filtered out; finished in 24.66s",
        ] {
            add(&mut count, line);
        }
        assert_eq!(
            count,
            Count {
                passed: 12,
                failed: 2,
                ignored: 1
            }
        );
    }
}
