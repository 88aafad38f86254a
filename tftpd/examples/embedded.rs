//! Fetches a file from a server in the same process over a link that loses what a script says.
//!
//! ```text
//! $ cargo run -p eport-tftpd --example embedded
//! 100000 bytes in spite of it all; 22 packets sent again
//! ```

use std::error::Error;

use tftpd::{
    Client, Server,
    backend::Memory,
    testing::{Script, TestServer, Which},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let files = Memory::new().with("kernel", vec![7; 100_000]);
    let link = Script::new()
        .lose(Which::Data(14))
        .repeat(Which::Ack(16))
        .delay(Which::Data(40));
    let server = TestServer::start(Server::builder().backend(files).link(link))?;
    let kernel = Client::new()?.get_bytes(server.address(), "kernel").await?;
    let resent: u32 = server.stop()?.iter().map(|record| record.resent).sum();
    println!(
        "{} bytes in spite of it all; {resent} packets sent again",
        kernel.len()
    );
    Ok(())
}
