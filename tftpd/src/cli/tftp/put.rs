//! `tftp put`.

use std::{io, os::unix::ffi::OsStrExt, path::Path};

use eport_core::program::{Exit, Failure};
use tokio::{
    fs::{File, OpenOptions},
    io::AsyncRead,
};

use super::{
    diagnosis::{Way, failed, local},
    files,
    progress::{Bar, report},
    settings::Settings,
    url::Url,
};
use crate::client::TransferError;

/// Seconds to wait for the first answer.
const PATIENCE: u16 = 5;

/// Sends `file`, or standard input, to `url`.
pub(super) async fn put(file: &Path, mut url: Url, settings: &Settings) -> Result<(), Failure> {
    let is_stdin = file == Path::new("-");
    if url.path.is_empty() || url.path.ends_with(b"/") {
        let name = file.file_name().filter(|_| !is_stdin);
        let name = name.ok_or_else(|| no_name(&url))?;
        url.path.extend_from_slice(name.as_bytes());
    }
    if is_stdin {
        return send(file, tokio::io::stdin(), None, &url, settings).await;
    }
    // Opened before the request: the server may create an empty file when it receives one.
    let (source, size) = open(file)
        .await
        .map_err(|error| local("read", file, &error))?;
    send(file, source, size, &url, settings).await
}

/// Opens a file and returns its size, if it has one.
async fn open(file: &Path) -> io::Result<(File, Option<u64>)> {
    let source = files::open(file, OpenOptions::new().read(true)).await?;
    let metadata = source.metadata().await?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok((source, metadata.is_file().then_some(metadata.len())))
}

async fn send(
    file: &Path,
    mut source: impl AsyncRead + Unpin,
    size: Option<u64>,
    url: &Url,
    settings: &Settings,
) -> Result<(), Failure> {
    let servers = settings.resolve(url).await?;
    let bar = Bar::new(file.display().to_string(), !settings.quiet);
    let client = settings.client(url, PATIENCE, bar.hook())?;
    let sent = client
        .put(servers.as_slice(), &url.path, &mut source, size)
        .await;
    drop(bar);
    let done = sent.map_err(|error| match error {
        TransferError::Source(why) => local("read", file, &why),
        error => failed(&error, Way::There),
    })?;
    if !settings.quiet {
        report(file.display(), "to", &done);
    }
    Ok(())
}

fn no_name(url: &Url) -> Failure {
    Failure::new(Exit::Usage, "standard input has no file name")
        .hint(format!("write tftp://{}/NAME", url.host))
}
