//! The ONC RPC portmapper and a framework for RPC services on dynamic ports: **in preparation**.
//!
//! This crate is empty so far. It will hold, in this order: XDR (RFC 4506), ONC RPC messages
//! (RFC 5531), the binding protocols version 2, 3 and 4 (RFC 1833), the registry and the
//! portmapper daemon. Ports of services will come from `eport-core`: one number for all the
//! transports of a service, registered when bound and unregistered when dropped.
