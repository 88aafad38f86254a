//! Plans the ports of a service without opening a socket: which ports are left of a range, and which
//! rule reserves each of the others.
//!
//! ```text
//! $ cargo run -p eport-core --example plan -- 61000-61099
//! ports: 61000-61099
//! ```

#![expect(
    clippy::disallowed_methods,
    reason = "an example uses the environment directly"
)]

use eport_core::Allocator;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ports = std::env::args().nth(1).unwrap_or_else(|| "auto".to_owned());
    let plan = Allocator::builder().ports(ports.parse()?).plan()?;
    println!("ports: {}", plan.ports());
    for note in plan.notes() {
        println!("note: {note}");
    }
    Ok(())
}
