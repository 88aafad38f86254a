use super::*;

const STOCK: &str = "32768-60999";

fn set(text: &str) -> PortSet {
    text.parse().expect(text)
}

fn excluding(ports: &str) -> Reserved {
    Reserved::default().with(Source::User, &set(ports))
}

fn set_aside(ports: &str) -> Reserved {
    Reserved::default().with(Source::KernelReserved, &set(ports))
}

#[track_caller]
fn planned(spec: &str, ephemeral: &str, reserved: &Reserved) -> Plan {
    let ephemeral: Option<PortRange> =
        (!ephemeral.is_empty()).then(|| ephemeral.parse().expect(ephemeral));
    plan(&spec.parse().expect(spec), ephemeral, reserved).expect("ports are left")
}

#[track_caller]
fn refused(spec: &str, reserved: &Reserved) -> String {
    let stock = STOCK.parse::<PortRange>().expect(STOCK);
    let error = plan(&spec.parse().expect(spec), stock, reserved);
    error.expect_err("no port is left").to_string()
}

fn lines(plan: &Plan) -> Vec<String> {
    plan.notes().iter().map(ToString::to_string).collect()
}

#[test]
fn auto_stays_out_of_the_kernels_range_and_of_what_is_reserved() {
    for (ephemeral, reserved, ports) in [
        (STOCK, Reserved::default(), "61000-65535"),
        ("", Reserved::default(), "49152-65535"),
        ("1024-4999", Reserved::default(), "49152-65535"),
        ("60000-65535", Reserved::default(), "49152-59999"),
        ("32768-64511", Reserved::default(), "64512-65535"),
        (STOCK, excluding("62000-62999"), "61000-61999,63000-65535"),
        (STOCK, set_aside("61000-61499,50000"), "61500-65535"),
    ] {
        let plan = planned("auto", ephemeral, &reserved);
        assert_eq!(plan.ports(), &set(ports), "ephemeral range {ephemeral:?}");
        assert!(plan.notes().is_empty(), "{:?}", plan.notes());
        let all = plan.ports().union(&plan.left_out().union());
        assert_eq!(all, PortRange::DYNAMIC.into());
    }
}

#[test]
fn auto_with_too_few_ports_outside_overlaps_and_says_what_ends_it() {
    for (ephemeral, left, advice) in [
        ("1024-65535", 0, "1024 49151"),
        ("32768-64512", 1023, "32768 49151"),
        ("49152-65535", 0, "32768 49151"),
    ] {
        let plan = planned("auto", ephemeral, &excluding("50000"));
        assert_eq!(plan.ports(), &set("49152-49999,50001-65535"));
        assert_eq!(
            lines(&plan),
            [format!(
                "only {left} of the dynamic ports 49152-65535 lie outside the kernel's ephemeral range {ephemeral}, \
                 so both hand out the same ports; run: sysctl -w net.ipv4.ip_local_port_range=\"{advice}\""
            )]
        );
        // The advice is worth giving only if it works.
        let followed = planned("auto", &advice.replace(' ', "-"), &Reserved::default());
        assert_eq!(
            (followed.ports().len(), followed.notes().len()),
            (16_384, 0)
        );
    }
}

#[test]
fn auto_that_is_short_of_ports_for_another_reason_names_that_one() {
    let plan = planned("auto", "1024-4999", &excluding("49152-65000"));
    assert_eq!(plan.ports(), &set("65001-65535"));
    assert!(
        lines(&plan)
            .concat()
            .starts_with("only 535 of the dynamic ports"),
        "{:?}",
        lines(&plan)
    );
}

#[test]
fn named_ports_that_the_administrator_set_aside_are_ours_and_do_not_count_as_overlap() {
    let plan = planned("50000-50999", STOCK, &set_aside("50000-50999"));
    assert_eq!(plan.ports(), &set("50000-50999"));
    assert_eq!(
        plan.notes(),
        [Note::SetAside {
            ports: set("50000-50999")
        }]
    );
    assert_eq!(plan.notes()[0].level(), NoteLevel::Info);
}

#[test]
fn named_ports_in_the_kernels_range_come_with_the_sysctl_line_that_keeps_them_apart() {
    let plan = planned("60000-61999", STOCK, &set_aside("8080,60000-60499"));
    assert_eq!(plan.ports(), &set("60000-61999"));
    assert_eq!(plan.notes()[0].level(), NoteLevel::Warning);
    assert_eq!(
        lines(&plan)[0],
        "ports 60500-60999 lie in the kernel's ephemeral range 32768-60999, which hands them out to other programs; \
         run: sysctl -w net.ipv4.ip_local_reserved_ports=8080,60000-60999"
    );
}

#[track_caller]
fn with(spec: &str, ephemeral: &str, overlap: Overlap) -> Result<Plan, PlanError> {
    let ephemeral: PortRange = ephemeral.parse().expect(ephemeral);
    let reserved = set_aside("60000-60499");
    plan_with(&spec.parse().expect(spec), ephemeral, &reserved, overlap)
}

#[test]
fn an_overlap_can_be_avoided_however_few_ports_are_left() {
    let named = with("60000-61999", STOCK, Overlap::Avoid).expect("ports");
    assert_eq!(named.ports(), &set("60000-60499,61000-61999"));
    let contested = Note::OverlapLeftOut {
        ports: set("60500-60999"),
    };
    assert!(named.notes().contains(&contested), "{:?}", named.notes());
    assert_eq!(
        named.left_out().ports_of(&Source::KernelEphemeral),
        set("60500-60999")
    );

    let auto = with("auto", "1024-65000", Overlap::Avoid).expect("ports");
    assert_eq!(auto.ports(), &set("65001-65535"));
    assert_eq!(
        lines(&auto),
        [
            "only 535 of the dynamic ports 49152-65535 lie outside the kernel's ephemeral range 1024-65000; \
             run: sysctl -w net.ipv4.ip_local_port_range=\"1024 49151\""
        ]
    );
    let none = with("50000-50999", STOCK, Overlap::Avoid).expect_err("nothing is left");
    assert!(
        none.to_string()
            .contains("1000 the kernel's ephemeral range"),
        "{none}"
    );
}

#[test]
fn an_overlap_can_be_refused_with_the_line_that_ends_it() {
    for (spec, ephemeral, line) in [
        ("60000-61999", STOCK, "ip_local_reserved_ports=60000-60999"),
        ("auto", "1024-65000", "ip_local_port_range=\"1024 49151\""),
    ] {
        let refused = with(spec, ephemeral, Overlap::Refuse).expect_err("an overlap");
        assert!(matches!(refused, PlanError::Overlap { .. }));
        assert!(refused.to_string().contains(line), "{refused}");
    }
    // What an administrator set aside is no overlap, and neither is what lies outside.
    for spec in ["60000-60499", "61000-61999", "auto"] {
        with(spec, STOCK, Overlap::Refuse).expect(spec);
    }
}

#[test]
fn a_range_of_either_family_counts() {
    let apart = Ephemeral {
        ipv4: None,
        ipv6: "50000-50999".parse().ok(),
    };
    let spec = "50500-51499".parse().expect("a range");
    let plan = plan(&spec, apart, &Reserved::default()).expect("ports");
    assert!(
        lines(&plan)[0].starts_with(
            "ports 50500-50999 lie in the kernel's ephemeral range 50000-50999 (IPv6), "
        ),
        "{:?}",
        lines(&plan)
    );
}

#[test]
fn live_sockets_services_and_the_blacklist_are_left_out_of_both_kinds_of_plan() {
    let reserved = Reserved::default()
        .with(Source::InUse, &set("61001"))
        .with(Source::Services, &set("61002"))
        .with(Source::BindresvportBlacklist, &set("61003"));
    for spec in ["auto", "61000-61009"] {
        let plan = planned(spec, STOCK, &reserved);
        assert!(plan.ports().contains(61_000) && plan.ports().contains(61_004));
        assert!(plan.ports().intersect(&set("61001-61003")).is_empty());
        assert!(plan.left_out().sources(61_002).eq([Source::Services]));
    }
}

#[test]
fn system_ports_are_used_only_when_they_are_named_on_their_own() {
    let alone = planned("600-1023,61000", STOCK, &Reserved::default());
    assert_eq!(alone.ports(), &set("600-1023,61000"));
    assert_eq!(
        alone.notes(),
        [Note::SystemPortsUsed {
            ports: set("600-1023")
        }]
    );

    let across = planned("512-2000", STOCK, &Reserved::default());
    assert_eq!(across.ports(), &set("1024-2000"));
    assert_eq!(
        across.left_out().ports_of(&Source::SystemPorts),
        set("512-1023")
    );
    assert_eq!(
        across.notes(),
        [Note::SystemPortsLeftOut {
            ports: set("512-1023")
        }]
    );
}

#[test]
fn the_users_exclusions_win_over_everything() {
    let reserved = excluding("50000-50009,700").with(Source::KernelReserved, &set("50000-50019"));
    let plan = planned("50000-50019,700-701", "", &reserved);
    assert_eq!(plan.ports(), &set("50010-50019,701"));
    assert!(plan.left_out().sources(700).eq([Source::User]));
}

#[test]
fn an_empty_plan_names_the_range_what_took_it_and_the_remedy() {
    assert_eq!(
        refused("6000-6100", &excluding("1-65535")),
        "no port of 6000-6100 is left: 101 excluded by the user; shorten the list of excluded ports"
    );
    assert_eq!(
        refused(
            "auto",
            &excluding("61000-65535").with(Source::KernelReserved, &set("1-60999"))
        ),
        "no port of auto (49152-65535) is left: 11848 net.ipv4.ip_local_reserved_ports, \
         11848 the kernel's ephemeral range, 4536 excluded by the user; name the ports explicitly, \
         or take them out of net.ipv4.ip_local_reserved_ports or narrow net.ipv4.ip_local_port_range \
         or shorten the list of excluded ports"
    );
    let nothing = plan(
        &PortSpec::Ports(PortSet::empty()),
        None,
        &Reserved::default(),
    );
    assert!(
        nothing
            .expect_err("nothing named")
            .to_string()
            .contains("no port is named")
    );
}

#[test]
fn every_note_is_one_line() {
    for (spec, ephemeral, reserved) in [
        ("auto", "1024-65535", Reserved::default()),
        ("auto", "1024-4999", excluding("49152-65000")),
        ("500-2000,700,33000-34000", STOCK, set_aside("33000-33100")),
        ("500-600", STOCK, Reserved::default()),
    ] {
        let plan = planned(spec, ephemeral, &reserved);
        assert!(!plan.notes().is_empty());
        assert!(
            lines(&plan)
                .iter()
                .all(|line| !line.contains('\n') && line.len() < 300)
        );
    }
}

#[test]
fn a_specification_reads_back_as_it_prints() {
    for overlap in Overlap::ALL {
        assert_eq!(overlap.to_string().parse(), Ok(overlap));
    }
    assert!("never".parse::<Overlap>().is_err());
    for text in ["auto", "61000-65535", "1-4,10"] {
        assert_eq!(text.parse::<PortSpec>().expect(text).to_string(), text);
    }
    assert_eq!("".parse::<PortSpec>(), Err(ParsePortsError::Nothing));
    assert_eq!(" AUTO ".parse(), Ok(PortSpec::Auto));
}
