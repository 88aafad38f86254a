//! ONC RPC: the portmapper, and a framework for services on dynamic ports.
//!
//! * [`xdr`] reads and writes the encoding ([RFC 4506](https://www.rfc-editor.org/rfc/rfc4506)).

pub mod xdr;

#[cfg(test)]
mod hex;
