//! System calls of a server, as `strace` counts them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ::tests::host;
use ::tests::process::Process;

use crate::items::Case;
use crate::lab::{Lab, Peer};

/// The limit for strace to start, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Calls with fewer than this per thousand units are left out.
const RARE: u64 = 20;

/// Runs a case with strace attached to the server; returns a row of the table: the number of calls for
/// each window or transfer, and their names.
pub(crate) fn count(case: &Case, peer: &Peer, root: &Path, content: &[u8]) -> [String; 4] {
    let lab = Lab::new(peer, root, case.mtu);
    let report = root.with_extension("strace");
    let mut strace = Process::start(
        Command::new("strace")
            .args(["-c", "-f", "-p", &lab.server_id().to_string(), "-o"])
            .arg(&report),
    );
    strace.wait_for_line("attached", PATIENCE);
    let file = case.file();
    let measured = lab.run(case.load(&file, content));
    strace.interrupt();
    strace.wait(PATIENCE);
    assert_eq!(measured.tally.failed, 0, "{:?}", measured.tally.first_error);

    let (unit, units) = case.unit();
    let mut calls = counted(&host::read_text(&report));
    calls.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let all = calls.iter().map(|(_, count)| count).sum();
    let often = calls
        .iter()
        .filter(|(_, count)| count * 1000 >= RARE * units);
    let which = often.map(|(name, count)| format!("{name} {}", each(*count, units)));
    [
        case.title.clone(),
        peer.name.clone(),
        format!("{} a {unit}", each(all, units)),
        which.collect::<Vec<_>>().join(", "),
    ]
}

/// Formats a quotient with two decimals.
fn each(count: u64, units: u64) -> String {
    let hundredths = (count * 100 + units / 2) / units;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Parses a summary of strace: `% time  seconds  usecs/call  calls  [errors]  name`.
fn counted(summary: &str) -> Vec<(String, u64)> {
    let row = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let count = fields.get(3)?.parse().ok()?;
        let name = fields.last().filter(|name| **name != "total")?;
        Some(((*name).to_owned(), count))
    };
    summary.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_a_summary_are_read_without_its_frame() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 70.00    0.000700           1       700           sendmsg
 30.00    0.000300           1       350       300 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000           1      1050       300 total
";
        let expected = [("sendmsg".to_owned(), 700), ("recvfrom".to_owned(), 350)];
        assert_eq!(counted(summary), expected);
        assert_eq!(each(350, 200), "1.75");
    }
}
