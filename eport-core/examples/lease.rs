//! Leases a bound, connected UDP socket for one peer, and gives its port back.
//!
//! ```text
//! $ cargo run -p eport-core --example lease
//! 127.0.0.1:61724 is connected to 127.0.0.1:4000
//! port 61724 while leased: leased for 127.0.0.1:4000
//! ports leased after the drop: 0
//! ```

use std::net::Ipv4Addr;

use eport_core::{Allocator, Space};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let allocator = Allocator::builder().ports("auto".parse()?).build()?;
    let peer = "127.0.0.1:4000".parse()?;
    let lease = allocator.udp(Ipv4Addr::LOCALHOST).peer(peer).lease()?;
    println!("{} is connected to {peer}", lease.local_addr());

    let port = lease.port();
    let state = allocator.explain(Space::udp(Ipv4Addr::LOCALHOST), port);
    println!("port {port} while leased: {state}");

    // Closes the socket, then frees the port.
    drop(lease);
    println!("ports leased after the drop: {}", allocator.stats().leased);
    Ok(())
}
