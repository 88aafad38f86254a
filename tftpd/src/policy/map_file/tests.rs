use std::net::IpAddr;

use super::*;
use crate::{
    policy::explain::{Decision, Query, RewriteError},
    proto::{Direction, ErrorCode},
};
use proptest::{collection::vec, prelude::*, sample::select};

/// A map file with rules that administrators use.
const USUAL: &str = r"
# Everything a Windows boot manager needs
ri ^[a-z]:                      # drop a drive letter
rg \\           /               # convert backslashes
r  ^[^/]        /tftpboot/\0    # relative names
e  ^/tftpboot/pxelinux\.cfg/
ri ^/tftpboot/(boot/.*)$  /tftpboot/\L\1
rg //           /
a  ^/tftpboot/private/
";

#[test]
fn a_usual_map_file_does_what_it_does_in_tftp_hpa() {
    let rules = rules(USUAL);
    for (asked, meant) in [
        (r"\Boot\BCD", "/Boot/BCD"),
        (r"Boot\\Fonts\WGL4.ttf", "tftpboot/boot/fonts/wgl4.ttf"),
        (r"C:pxelinux.0", "tftpboot/pxelinux.0"),
        ("pxelinux.cfg/C0//x", "tftpboot/pxelinux.cfg/C0/x"),
        ("/tftpboot/BOOT/X", "tftpboot/boot/x"),
    ] {
        assert_eq!(
            name(&rules, asked.as_bytes()),
            meant.trim_start_matches('/').as_bytes(),
            "{asked}"
        );
    }
    let denied = ask(&rules, b"private\\key").verdict.expect_err("denied");
    assert_eq!(
        denied,
        RewriteError::Denied {
            rule: 9,
            text: None
        }
    );
}

#[test]
fn rules_see_the_name_as_it_was_sent_and_all_are_tried() {
    let rules = rules("r ^/abs x\nr ^x y");
    assert_eq!(name(&rules, b"/abs"), b"y");
    assert_eq!(name(&rules, b"abs"), b"abs");
    let steps: Vec<_> = ask(&rules, b"/abs")
        .steps
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        steps,
        [
            r#"rule 1 rewrote it to "x" and went on"#,
            r#"rule 2 rewrote it to "y" and went on"#
        ]
    );
}

#[test]
fn g_repeats_from_the_beginning_and_gg_takes_each_match_once() {
    assert_eq!(name(&rules("rg aa a"), b"aaaaab"), b"ab");
    assert_eq!(name(&rules("rgg aa a"), b"aaaaab"), b"aaab");
    assert_eq!(name(&rules("r aa a"), b"aaaaab"), b"aaaab");
    assert_eq!(
        name(&rules("rgg ^a b"), b"aaa"),
        b"baa",
        "'^' is the beginning once"
    );
    assert_eq!(name(&rules("rgg x* -"), b"axb"), b"-a-b-");
}

#[test]
fn the_flow_can_end_start_over_or_jump() {
    assert_eq!(name(&rules("re a b\nr b c"), b"a"), b"b");
    assert_eq!(name(&rules("e a\nr . c"), b"a"), b"a");
    assert_eq!(name(&rules("r b c\nrs a b"), b"aa"), b"cc");
    let jump = "j ^a here\nr . x\n:here # a label\nr $ .cfg";
    assert_eq!(name(&rules(jump), b"a"), b"a.cfg");
    assert_eq!(name(&rules(jump), b"b"), b"x.cfg");
    assert_eq!(name(&rules("j~ ^a end\nr ^a b\n:end"), b"ab"), b"bb");
    assert_eq!(name(&rules("j~ ^a end\nr b c\n:end"), b"b"), b"b");
    assert_eq!(name(&rules(":again\nr ^a\nj ^a again"), b"aaab"), b"b");
}

#[test]
fn what_goes_round_in_circles_is_refused_in_time() {
    for circle in [
        "rg a aa",
        "rg a a",
        "rg x* y",
        "s a",
        ":l\nj ^ l",
        "rg ^ \\x",
    ] {
        let refused = ask(&rules(circle), b"a").verdict.expect_err(circle);
        match refused {
            RewriteError::Endless { .. } => assert_eq!(refused.code(), ErrorCode::AccessViolation),
            RewriteError::NoName(_) => assert_eq!(refused.code(), ErrorCode::FileNotFound),
            RewriteError::Denied { .. } => panic!("{circle}: {refused}"),
        }
    }
    let decision = ask(&rules("s a"), b"a");
    assert_eq!(decision.steps.len(), crate::policy::explain::MAX_STEPS);
    let long = b"\\".repeat(4000);
    assert!(ask(&rules(r"rg \\ /"), &long).verdict.is_err());
    assert!(ask(&rules("r a b"), &b"./".repeat(4000)).verdict.is_err());
}

#[test]
fn a_refusal_carries_its_text() {
    let rules = rules(r"a ^(secret) no\ \U\1\E\ for\ \i");
    let denied = ask(&rules, b"secret").verdict.expect_err("denied");
    assert_eq!(denied.text(), b"no SECRET for 192.0.2.169");
    assert_eq!(denied.code(), ErrorCode::AccessViolation);
    assert!(ask(&rules, b"public").verdict.is_ok());
}

#[test]
fn an_inverted_rule_acts_where_nothing_matches() {
    let rules = rules("ai~ ^public/ ");
    assert!(ask(&rules, b"PUBLIC/x").verdict.is_ok());
    assert!(ask(&rules, b"x").verdict.is_err());
}

#[test]
fn rules_can_be_for_one_direction_or_family() {
    let rules = rules("rG ^ get-\nrP ^ put-\nr4 $ .v4\nr6 $ .v6");
    let ask = |client: &str, direction| {
        let client: IpAddr = client.parse().expect("an address");
        let name = b"x";
        let query = Query {
            name,
            client,
            direction,
        };
        let name = rules.decide(&query).verdict.expect("a name");
        String::from_utf8(name.as_bytes().to_vec()).expect("ASCII")
    };
    assert_eq!(ask("192.0.2.1", Direction::Read), "get-x.v4");
    assert_eq!(ask("2001:db8::1", Direction::Write), "put-x.v6");
    assert_eq!(ask("::ffff:192.0.2.1", Direction::Read), "get-x.v4");
}

#[test]
fn replacements_know_their_escapes() {
    assert_eq!(name(&rules(r"r ^.*$ \x"), b"a"), b"C00002A9");
    assert_eq!(name(&rules(r"r ^.*$ \i"), b"a"), b"192.0.2.169");
    assert_eq!(name(&rules(r"r ^.*$ a\ b\#c\q"), b"a"), b"a b#cq");
    assert_eq!(name(&rules(r"r (b)|(c) <\1\2>"), b"abc"), b"a<b>c");
    assert_eq!(name(&rules(r"r ^(.)(.*)$ \U\1x\L\2\EZ"), b"abC"), b"AXbcZ");
    assert_eq!(name(&rules(r"r ^a"), b"ab"), b"b", "no replacement");
    assert_eq!(
        name(&rules(r"r ^a x\"), b"ab"),
        b"x/b",
        "a last backslash is itself"
    );
}

#[test]
fn a_regex_means_what_posix_says() {
    for (regex, matching, other) in [
        (r"^[\]$", r"\", "/"),
        (r"^[\\/x]$", r"\", "y"),
        ("^[]a]$", "]", "b"),
        ("^[^]a]$", "b", "]"),
        ("^[a-c-]$", "-", "d"),
        ("^[&&~~[]$", "[", "a"),
        ("^[[:digit:]x-z]$", "7", "a"),
        ("^a+?$", "", "b"),
        ("^(ab){2}{2}$", "abababab", "abab"),
        ("^a{,2}$", "aa", "aaa"),
        ("^a{2,}$", "aaa", "a"),
        (r"^a\{2\}$", "a{2}", "aa"),
        ("^a}$", "a}", "a"),
        (r"^\S+\s\w\.$", "/x y.", "x yz"),
        (r"\<ab\>", "x ab y", "xaby"),
        (r"^a\ b\#$", "a b#", "ab"),
        ("^grün?$", "grü", "gr"),
        ("^ü{2}$", "üü", "ü"),
        ("^x(|y)$", "x", "z"),
        ("^%~&-$", "%~&-", "a"),
        ("^.$", "\n", "ab"),
    ] {
        let rules = rules(&format!("a {regex}"));
        assert!(
            denies(&rules, matching.as_bytes()),
            "{regex} on {matching:?}"
        );
        assert!(!denies(&rules, other.as_bytes()), "{regex} on {other:?}");
    }
    let latin1 = Rules::from_map_file(b"a ^gr\xfcn$").expect("any bytes");
    assert!(denies(&latin1, b"gr\xfcn") && !denies(&latin1, "grün".as_bytes()));
}

const BAD_LINES: &[(&str, &str)] = &[
    (
        "q x y",
        "'q' is no operation: known are r g i e s j a ~ G P 4 6",
    ),
    ("r~ x y", "'r' and '~' cannot be combined"),
    ("ae x", "'a' and 'e' cannot be combined"),
    ("rGP x y", "'G' and 'P' cannot be combined"),
    (
        "rE x y",
        "'E', which tests for the file, is not supported: rules look at names only; write 'e' and match the names that exist",
    ),
    ("r", "there is no regex after the operation"),
    ("r # comment", "there is no regex after the operation"),
    (
        "r (a",
        "the regex \"(a\" is not usable: a '(' without its ')'",
    ),
    (
        "r a) b",
        "the regex \"a)\" is not usable: a ')' without its '('",
    ),
    (
        "r (?i)a b",
        "the regex \"(?i)a\" is not usable: nothing to repeat before '?'",
    ),
    (
        "r [a b",
        "the regex \"[a\" is not usable: a '[' without its ']'",
    ),
    (
        "r a{x} b",
        "the regex \"a{x}\" is not usable: a '{' that is no interval: write '\\{' for the brace itself",
    ),
    (
        r"r (a)\1 b",
        r"the back reference '\1' in a regex is not supported: matching could take exponential time; write the alternatives out",
    ),
    (
        r"r \d b",
        r"'\d' in a regex is not supported: POSIX does not define it; write brackets such as '[0-9]' or '[[:space:]]'",
    ),
    (
        "r [[=a=]] b",
        "a collating element ('[.' or '[=') in brackets is not supported: write the characters themselves",
    ),
    (
        "r [ü] b",
        "a character beyond ASCII in brackets is not supported: its meaning depends on the locale; write alternatives, '(a|b)'",
    ),
    (
        r"r (a) \2",
        r"the replacement refers to \2, but the last group of the regex is \1",
    ),
    (
        "e a b",
        "the replacement \"b\" has no effect without 'r', 'a' or 'j'",
    ),
    (
        "r a b c",
        "\"c\" follows the replacement: write '\\' before a blank, '#' before a comment",
    ),
    ("j a", "there is no label"),
    (":", "there is no label"),
    ("j a nowhere", "there is no line ':nowhere' to jump to"),
    (
        r"j (a) \1",
        "the label \"\\\\1\", put together from a match, is not supported: write one rule for each label",
    ),
    (":x", "the label ':x' is on an earlier line already"),
];

#[test]
fn every_bad_line_is_named_with_what_is_wrong_in_it() {
    for (line, complaint) in BAD_LINES {
        let file = format!(":x\n# the bad line is the third\n{line}\n");
        let error = Rules::from_map_file(file.as_bytes()).expect_err(line);
        assert_eq!(error.to_string(), format!("line 3: {complaint}"), "{line}");
    }
    let error = Rules::from_map_file(b"j a x\nr\nq").expect_err("three mistakes");
    let lines: Vec<u32> = error.problems().iter().map(|&(line, _)| line).collect();
    assert_eq!(lines, [1, 2, 3]);
}

#[test]
fn blank_lines_comments_and_line_ends_of_windows_are_nothing() {
    let rules = rules("\r\n# comment\r\n\t  \x0b\r\n  r a b # comment\r\n");
    assert_eq!(rules.len(), 1);
    assert_eq!(name(&rules, b"a"), b"b");
    assert_eq!(ask(&rules, b"a").steps[0].rule, 4);
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused_and_any_name_decided(
        pieces in vec(select(vec![
            "r ", "rg ", "rgg ", "j~ ", "e", "a ", "s ", "^", "$", "(", ")", "[", "]", "\\", "{1",
            "}", "*", "+?", "|", ".", "a", "ü", "\\1", "\\U", " ", "\n", ":l\n", " l", "-", "[:alpha:]",
        ]), 0..24),
        asked in vec(any::<u8>(), 0..40),
    ) {
        if let Ok(rules) = Rules::from_map_file(pieces.concat().as_bytes()) {
            let _ = ask(&rules, &asked).verdict;
        }
    }
}

#[track_caller]
fn rules(file: &str) -> Rules {
    Rules::from_map_file(file.as_bytes()).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn ask(rules: &Rules, name: &[u8]) -> Decision {
    rules.decide(&Query {
        name,
        client: IpAddr::from([192, 0, 2, 169]),
        direction: Direction::Read,
    })
}

fn denies(rules: &Rules, name: &[u8]) -> bool {
    matches!(ask(rules, name).verdict, Err(RewriteError::Denied { .. }))
}

#[track_caller]
fn name(rules: &Rules, asked: &[u8]) -> Vec<u8> {
    let name = ask(rules, asked).verdict.expect("nothing refuses it");
    name.as_bytes().to_vec()
}
