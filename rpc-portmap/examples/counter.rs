//! A counter on a port of its own, in two versions, found through the portmapper:
//!
//! ```text
//! $ cargo run --example counter &
//! $ rpcinfo -T tcp localhost 536870913
//! program 536870913 version 1 ready and waiting
//! program 536870913 version 2 ready and waiting
//! ```
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eport_core::Allocator;
use rpc_portmap::rpc::RpcError;
use rpc_portmap::rpc_program;
use rpc_portmap::server::{Caller, Server};
use rpc_portmap::transport::DynamicPort;

rpc_program! {
    /// Version 1 counts by one.
    trait Counter1 = (0x2000_0001, 1);
    server Counter1Server;
    1 => fn count() -> u32;
}

rpc_program! {
    /// Version 2 counts by any number, and further.
    trait Counter2 = (0x2000_0001, 2);
    server Counter2Server;
    1 => fn add(u32) -> u64;
}

#[derive(Default)]
struct Counter(AtomicU64);

impl Counter1 for Counter {
    async fn count(&self, _: &Caller) -> Result<u32, RpcError> {
        u32::try_from(self.0.fetch_add(1, Ordering::Relaxed)).map_err(|_| RpcError::SystemErr)
    }
}

impl Counter2 for Counter {
    async fn add(&self, _: &Caller, number: u32) -> Result<u64, RpcError> {
        Ok(self.0.fetch_add(number.into(), Ordering::Relaxed))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let counter = Arc::new(Counter::default());
    let server = Server::builder()
        .version(Counter1Server::new(Arc::clone(&counter)))
        .version(Counter2Server::new(counter))
        .build();
    let port = DynamicPort::lease(&Allocator::builder().build()?)?;
    println!("counting on port {}", port.port());
    let _registered = server.register(&port.addresses());
    server
        .serve(port, async { drop(tokio::signal::ctrl_c().await) })
        .await?;
    Ok(())
}
