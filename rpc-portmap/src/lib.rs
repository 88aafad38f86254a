//! ONC RPC: the portmapper, and a framework for services on dynamic ports.
//!
//! * [`xdr`] reads and writes the encoding ([RFC 4506](https://www.rfc-editor.org/rfc/rfc4506)).
//! * [`rpc`] knows calls, replies and records ([RFC 5531](https://www.rfc-editor.org/rfc/rfc5531)).

pub mod rpc;
pub mod xdr;

#[cfg(test)]
mod hex;
