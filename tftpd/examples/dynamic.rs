//! Serves a boot script generated for each client, on port 6969.
//!
//! ```text
//! $ cargo run -p eport-tftpd --example dynamic
//! $ cargo run -p eport-tftpd --bin tftp -- get tftp://localhost:6969/boot.ipxe -o -
//! ```

use std::{error::Error, future::pending};

use tftpd::{
    Listener, Server,
    backend::{Content, Dynamic, OpenError},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let scripts = Dynamic::new(|name, client| async move {
        match name.as_bytes() {
            // This may take time, for example a query of a database or of another server.
            b"boot.ipxe" => Ok(Content::from(format!(
                "#!ipxe\necho {client} boots\nkernel vmlinuz ip=dhcp hostname=node-{}\nboot\n",
                client.port()
            ))),
            _ => Err(OpenError::NotFound),
        }
    });
    let listener = Listener::bind("[::]:6969".parse()?)?;
    Server::builder()
        .backend(scripts)
        .build()?
        .serve(listener, pending())
        .await?;
    Ok(())
}
