use super::*;
use crate::proto::ErrorCode;
use proptest::{collection::vec, prelude::*};

const V4: [u8; 4] = [192, 0, 2, 169];

#[test]
fn without_rules_a_name_means_itself() {
    let decision = decide(&Rules::default(), br"\Boot\..\x");
    assert_eq!(
        decision.verdict,
        Name::from_request(b"x").map_err(Into::into)
    );
    assert!(decision.steps.is_empty() && !decision.quiet_missing);
}

#[test]
fn the_part_that_matched_is_replaced() {
    assert_eq!(rewritten("^tftpboot/", "", b"/tftpboot/a/b"), b"a/b");
    assert_eq!(rewritten("b", "c", b"abab"), b"acab");
    assert_eq!(rewritten(r"^(.*)\xff$", "${1}", b"x\xff"), b"x");
    assert_eq!(rewritten("^.*$", "$$1.cfg", b"x"), b"$1.cfg");
}

#[test]
fn groups_and_the_client_can_be_put_into_a_name() {
    let mac = r"^pxelinux\.cfg/(?<kind>01)-([0-9A-F-]+)$";
    let asked = b"pxelinux.cfg/01-52-54-00-AB-00-01";
    assert_eq!(
        rewritten(mac, "${kind}/${lower(2)}.cfg", asked),
        b"01/52-54-00-ab-00-01.cfg"
    );
    assert_eq!(
        rewritten("^x$", "${client}/${client_hex}/${upper(0)}", b"x"),
        b"192.0.2.169/C00002A9/X"
    );
    let rules = Rules::new([rule("^x$", "${client}/${lower(client_hex)}")]);
    let ask = |client: &str| {
        rules.decide(&Query {
            name: b"x",
            client: client.parse().expect("an address"),
            direction: Direction::Read,
        })
    };
    assert_eq!(
        name(ask("2001:db8::1")),
        b"2001:db8::1/20010db8000000000000000000000001"
    );
    assert_eq!(
        name(ask("::ffff:192.0.2.169")),
        b"192.0.2.169/c00002a9",
        "a mapped address is the IPv4 client"
    );
    assert_eq!(rewritten("(a)|(b)", "<${1}${2}>", b"b"), b"<b>");
}

#[test]
fn the_first_match_decides_unless_it_keeps_going() {
    let first = || rule("a", "b");
    let second = || rule("b", "c");
    let stopping = decide(&Rules::new([first(), second()]), b"a");
    assert_eq!(stopping.steps.len(), 1);
    assert_eq!(name(stopping), b"b");

    let going = Rule::matching("a").rewrite("b").keep_going();
    let rules = Rules::new([rule("nothing", "x"), going.build().expect("good"), second()]);
    let decision = decide(&rules, b"a");
    let steps: Vec<String> = decision.steps.iter().map(ToString::to_string).collect();
    assert_eq!(
        steps,
        [
            r#"rule 2 rewrote it to "b" and went on"#,
            r#"rule 3 rewrote it to "c" and stopped"#
        ]
    );
    assert_eq!(name(decision), b"c");
}

#[test]
fn a_rule_that_only_keeps_shields_a_name_from_those_behind() {
    let keep = Rule::matching("^public/").build().expect("good");
    let deny = Rule::matching("").deny().build().expect("good");
    let rules = Rules::new([keep, deny]);
    assert_eq!(name(decide(&rules, b"public/x")), b"public/x");
    let denied = decide(&rules, b"private/x").verdict.expect_err("denied");
    assert_eq!(
        denied,
        RewriteError::Denied {
            rule: 2,
            text: None
        }
    );
    assert_eq!(denied.code(), ErrorCode::AccessViolation);
    assert_eq!(denied.text(), b"Access violation");
}

#[test]
fn a_rule_can_be_for_one_direction_only() {
    let rule = Rule::matching("").deny().only(Direction::Write);
    let rules = Rules::new([rule.build().expect("good")]);
    let ask = |direction| {
        let client = V4.into();
        rules.decide(&Query {
            name: b"x",
            client,
            direction,
        })
    };
    assert!(ask(Direction::Read).verdict.is_ok());
    assert!(ask(Direction::Write).verdict.is_err());
}

#[test]
fn a_missing_file_is_quiet_only_where_the_rule_matched() {
    let quiet = Rule::matching("^SEP").quiet_missing();
    let rules = Rules::new([quiet.build().expect("good")]);
    assert!(decide(&rules, b"SEP0123.cnf.xml").quiet_missing);
    assert!(!decide(&rules, b"pxelinux.0").quiet_missing);
    let rules = Rules::new([rule("^SEP", "phones/")]);
    assert!(!decide(&rules, b"SEP0123.cnf.xml").quiet_missing);
}

#[test]
fn no_rule_leads_out_of_the_root() {
    assert_eq!(
        rewritten("^.*$", "../../etc/${0}", b"passwd"),
        b"etc/passwd"
    );
    let rules = Rules::new([rule("^.*$", "hosts/")]);
    let refused = decide(&rules, b"x").verdict.expect_err("a directory");
    assert_eq!(refused, RewriteError::NoName(NameError::Directory));
    assert_eq!(refused.code(), ErrorCode::FileNotFound);
    let refused = decide(&rules, b"").verdict.expect_err("the root");
    assert_eq!(refused, RewriteError::NoName(NameError::Empty));
}

#[test]
fn a_name_that_grows_beyond_any_file_is_refused() {
    let rules = Rules::new([rule("^.*$", "${0}/${0}/${0}/${0}")]);
    let refused = decide(&rules, &b"0123456789/".repeat(100)[..1099]);
    assert!(matches!(
        refused.verdict,
        Err(RewriteError::NoName(NameError::TooLong { limit: 4095, .. }))
    ));
}

#[test]
fn mistakes_are_found_when_the_rule_is_made() {
    let error = |pattern, template| {
        let built = Rule::matching(pattern).rewrite(template).build();
        built.expect_err("a mistake").to_string()
    };
    assert!(error("(", "").starts_with("the pattern \"(\" is not usable: "));
    assert!(error("a", "$1").contains("'$$' for a dollar sign"));
    assert!(error("a", "${client").contains("without its '}'"));
    assert!(error("a", "${mac}").contains("no variable \"mac\""));
    assert!(error("(a)", "${2}").contains("no variable \"2\""));
    assert!(error("a", "${lower(lower(0))}").contains("no variable"));
    let huge = Rule::matching(r"(\w{1000}){1000}").build();
    assert!(matches!(huge, Err(RuleError::Pattern { .. })));
}

proptest! {
    #[test]
    fn any_name_through_any_of_these_rules_stays_below_the_root(
        raw in vec(any::<u8>(), 1..200),
        picks in vec(0_usize..5, 0..6),
    ) {
        let known = [
            ("/", "/../"), ("(.)(.)", "${2}/${1}"), ("^", "/"), ("[^a-z]", ""), ("$", "/x"),
        ];
        let rules = picks.iter().filter_map(|&pick| known.get(pick)).map(|(pattern, template)| {
            Rule::matching(pattern).rewrite(template).keep_going().build().expect("good")
        });
        let decision = decide(&Rules::new(rules), &raw);
        if let Ok(name) = decision.verdict {
            prop_assert_eq!(Name::strict(name.as_bytes()), Ok(name));
        }
        prop_assert!(decision.steps.len() <= picks.len());
    }
}

fn rule(pattern: &str, template: &str) -> Rule {
    let rule = Rule::matching(pattern).rewrite(template);
    rule.build().expect("a good rule")
}

fn decide(rules: &Rules, name: &[u8]) -> Decision {
    rules.decide(&Query {
        name,
        client: V4.into(),
        direction: Direction::Read,
    })
}

#[track_caller]
fn name(decision: Decision) -> Vec<u8> {
    let name = decision.verdict.expect("nothing refuses it");
    name.as_bytes().to_vec()
}

#[track_caller]
fn rewritten(pattern: &str, template: &str, asked: &[u8]) -> Vec<u8> {
    name(decide(&Rules::new([rule(pattern, template)]), asked))
}
