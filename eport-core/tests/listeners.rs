//! Well-known ports for listeners, each test in a network namespace of its own.

#![expect(
    clippy::disallowed_methods,
    reason = "tests use the environment directly"
)]
#![cfg(all(feature = "net", target_os = "linux"))]

mod common;

use std::net::{IpAddr, Ipv4Addr};

use common::{address, foreign_socket, in_namespace, received, sh};
use eport_core::bind::{self, BindError, UdpOptions};
use eport_core::pool::ForeignCause;
use eport_core::{Allocator, LeaseError, LocalAddress, PortState, Space};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn addresses_overlap_exactly_where_the_kernel_refuses_the_second_bind() {
    in_namespace(
        "addresses_overlap_exactly_where_the_kernel_refuses_the_second_bind",
        || {
            sh("ip addr add fe80::1/64 dev lo nodad");
            let ip = |text: &str| LocalAddress::from(text.parse::<IpAddr>().expect(text));
            let locals = [
                ip("0.0.0.0"),
                ip("127.0.0.1"),
                ip("127.0.0.2"),
                ip("::"),
                ip("::").only_v6(),
                ip("::1"),
                LocalAddress::from(address("[fe80::1%1]:0")),
            ];
            let bind = |local: LocalAddress| {
                bind::udp(
                    local.with_port(61_000),
                    &UdpOptions::default().only_v6(local.is_only_v6()),
                )
            };
            for first in locals {
                let _held = bind(first).expect("free");
                for second in locals {
                    let refused = match bind(second) {
                        Ok(_) => false,
                        Err(BindError::InUse { .. }) => true,
                        Err(other) => panic!("{other:?}"),
                    };
                    assert_eq!(refused, first.overlaps(second), "{first} and {second}");
                }
            }
        },
    );
}

#[test]
fn a_listener_error_names_the_reason() {
    in_namespace("a_listener_error_names_the_reason", || {
        let options = UdpOptions::default();
        let held = bind::udp(address("[::]:69"), &options).expect("free");
        for taken in ["[::]:69", "0.0.0.0:69", "127.0.0.1:69"] {
            let error =
                bind::udp(address(taken), &options).expect_err("dual-stack holds all of them");
            assert!(matches!(error, BindError::InUse { .. }), "{error:?}");
            assert!(error.to_string().contains(taken));
        }
        drop(held);
        let _v6 = bind::udp(address("[::]:69"), &options.only_v6(true)).expect("free");
        let _v4 = bind::udp(address("0.0.0.0:69"), &options).expect("apart");
        let error = bind::udp(address("192.0.2.1:69"), &options).expect_err("not a local address");
        assert!(matches!(error, BindError::NotLocal { .. }), "{error:?}");
    });
}

#[test]
fn a_dual_stack_listener_hears_ipv4() {
    in_namespace("a_dual_stack_listener_hears_ipv4", || {
        sh("echo 1 > /proc/sys/net/ipv6/bindv6only");
        let options = UdpOptions::default().receive_buffer(1 << 16);
        let listener = bind::udp(address("[::]:0"), &options).expect("bound");
        let port = listener.local_addr().expect("bound").port();
        let client = foreign_socket((V4, 0)).expect("a free port");
        client.send_to(b"request", (V4, port)).expect("sent");
        assert_eq!(received(&listener).expect("received"), b"request");
    });
}

#[test]
fn without_the_capability_a_system_port_is_denied_with_remedies() {
    in_namespace(
        "without_the_capability_a_system_port_is_denied_with_remedies",
        || {
            // Every port is below this limit here and needs the capability. The root of the namespace
            // has it, so the test continues in a process without capabilities.
            const PROBE: &str = "EPORT_TEST_UNPRIVILEGED";
            let test = "without_the_capability_a_system_port_is_denied_with_remedies";
            if std::env::var_os(PROBE).is_none() {
                let executable = std::env::current_exe().expect("a path");
                sh(&format!(
                    "{PROBE}=1 setpriv --inh-caps=-all --bounding-set=-all {} {test} --exact --nocapture",
                    executable.display(),
                ));
                return;
            }
            let error =
                bind::udp(address("127.0.0.1:69"), &UdpOptions::default()).expect_err("denied");
            assert!(matches!(error, BindError::Denied { .. }), "{error:?}");
            let allocator = Allocator::builder()
                .ports("600-609".parse().expect("a range"))
                .build()
                .expect("an allocator");
            let error = allocator.udp(V4).lease().expect_err("denied");
            assert!(
                matches!(
                    error,
                    LeaseError::Exhausted {
                        denied: 20,
                        in_use: 0,
                        ..
                    }
                ),
                "{error:?}"
            );
            let state = allocator.explain(Space::udp(V4), 600);
            assert!(
                matches!(
                    state,
                    PortState::Foreign {
                        cause: ForeignCause::Denied,
                        ..
                    }
                ),
                "{state}"
            );
        },
    );
}
