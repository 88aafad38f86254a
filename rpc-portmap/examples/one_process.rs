//! A TFTP server, a portmapper and an RPC service in one process. All their ports come from one
//! allocator, which avoids the ports that other services registered and explains each port:
//!
//! ```text
//! # cargo run --example one_process &
//! files by TFTP at [::]:69, a service on port 63027, found by the portmapper at 111
//! $ rpcinfo -t localhost 536870914
//! program 536870914 version 1 ready and waiting
//! ```
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use eport_core::system::Sources;
use eport_core::{Allocator, Space};
use rpc_portmap::client::RegisteredPorts;
use rpc_portmap::portmapper::{Forwarding, Portmapper};
use rpc_portmap::rpc::RpcError;
use rpc_portmap::rpcbind::{ABSTRACT_SOCKET, SOCKET};
use rpc_portmap::server::{Caller, Server};
use rpc_portmap::transport::{DynamicPort, Listeners};
use tftpd::backend::Memory;

rpc_portmap::rpc_program! {
    /// A program that returns the length of the file.
    trait Length1 = (0x2000_0002, 1);
    server Length1Server;
    1 => fn length() -> u32;
}

struct Length(u32);

impl Length1 for Length {
    async fn length(&self, _: &Caller) -> Result<u32, RpcError> {
        Ok(self.0)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stop = || async { drop(tokio::signal::ctrl_c().await) };
    let registered = RegisteredPorts::read(Duration::from_secs(3)).await?;
    let allocator = Allocator::builder()
        .sources(registered.add_to(Sources::default()))
        .build()?;

    let mut listeners = Listeners::new();
    listeners.bind_ip("[::]:111".parse()?)?;
    listeners.bind_unix(ABSTRACT_SOCKET)?;
    listeners.bind_unix(SOCKET)?;
    let portmapper = Portmapper::builder()
        .at(&listeners)
        .forwarding(Forwarding::new(allocator.clone(), Vec::new()))
        .build()?;
    let mapping = tokio::spawn(portmapper.server().serve(listeners, stop()));

    let service = Server::builder().version(Length1Server::new(Arc::new(Length(8))));
    let service = service.build();
    let port = DynamicPort::lease(&allocator)?;
    let number = port.port();
    let registration = service.register(&port.addresses());
    let serving = tokio::spawn(service.serve(port, stop()));

    let tftp = tftpd::Server::builder()
        .backend(Memory::new().with("boot.ipxe", "#!ipxe\n"))
        .allocator(allocator.clone())
        .build()?;
    let listener = tftpd::Listener::bind("[::]:69".parse()?)?;
    println!(
        "files by TFTP at [::]:69, a service on port {number}, found by the portmapper at 111"
    );
    let state = allocator.explain(Space::tcp(Ipv4Addr::UNSPECIFIED), number);
    println!("port {number}: {state}");
    tftp.serve(listener, stop()).await?;
    drop(registration);
    serving.await??;
    mapping.await??;
    Ok(())
}
