//! Reads a file from a server in the same process, over a link that loses packets by a script.
//!
//! ```text
//! $ cargo run -p eport-tftpd --example embedded
//! 100000 bytes over a lossy link; 22 packets sent again
//! ```

use std::error::Error;

use tftpd::{
    Client, Server,
    backend::Memory,
    testing::{PacketId, Script, TestServer},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let files = Memory::new().with("kernel", vec![7; 100_000]);
    let link = Script::new()
        .lose(PacketId::Data(14))
        .repeat(PacketId::Ack(16))
        .delay(PacketId::Data(40));
    let server = TestServer::start_with_link(Server::builder().backend(files), link)?;
    let kernel = Client::new()?.get_bytes(server.address(), "kernel").await?;
    let resent: u32 = server.stop()?.iter().map(|record| record.resent).sum();
    println!(
        "{} bytes over a lossy link; {resent} packets sent again",
        kernel.len()
    );
    Ok(())
}
