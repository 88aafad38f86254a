//! `tftp get`.

use std::{
    ffi::OsStr,
    io::{self, IsTerminal},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use eport_core::program::{Exit, Failure};
use tokio::{
    fs::OpenOptions,
    io::{AsyncWrite, AsyncWriteExt, BufWriter},
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

/// Fetches `url` into `output`, standard output, or a file named like the last part of its path.
pub(super) async fn get(
    url: &Url,
    output: Option<PathBuf>,
    settings: &Settings,
) -> Result<(), Failure> {
    let output = target(url, output).await?;
    match output.as_path() {
        path if path == Path::new("-") => {
            let shown = io::stdout().is_terminal();
            fetch(url, &output, tokio::io::stdout(), settings, !shown).await
        }
        path if files::is_special(path).await => {
            let file = files::open(path, OpenOptions::new().write(true)).await;
            let file = file.map_err(|error| local("write", path, &error))?;
            fetch(url, &output, file, settings, true).await
        }
        path => {
            let (file, temporary) =
                files::temporary(path).map_err(|error| local("write", path, &error))?;
            fetch(url, &output, file, settings, true).await?;
            let persisted = temporary.persist(path);
            persisted.map_err(|error| local("write", path, &error.error))
        }
    }
}

/// Fetches `url` into `sink`; messages name it `output`.
async fn fetch(
    url: &Url,
    output: &Path,
    sink: impl AsyncWrite + Unpin,
    settings: &Settings,
    may_show: bool,
) -> Result<(), Failure> {
    let servers = settings.resolve(url).await?;
    let bar = Bar::new(output.display().to_string(), may_show && !settings.quiet);
    let client = settings.client(url, PATIENCE, bar.hook())?;
    // Each write to a file is a call to the blocking pool.
    let mut sink = BufWriter::with_capacity(256 * 1024, sink);
    let fetched = client.get(servers.as_slice(), &url.path, &mut sink).await;
    drop(bar);
    let done = fetched.map_err(|error| match error {
        TransferError::Sink(why) => local("write", output, &why),
        error => failed(&error, Way::Here),
    })?;
    let closed = sink.shutdown().await;
    closed.map_err(|error| local("write", output, &error))?;
    if !settings.quiet {
        report(output.display(), "from", &done);
    }
    Ok(())
}

/// Returns the path to write, with links followed: the target of a link is replaced, not the link.
async fn target(url: &Url, output: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let name = Path::new(OsStr::from_bytes(&url.path)).file_name();
    let no_name = || {
        Failure::new(Exit::Usage, "the path does not end in a file name")
            .hint("write tftp://HOST/PATH, and name the output with -o FILE")
    };
    if url.path.is_empty() {
        return Err(no_name());
    }
    let Some(output) = output else {
        return Ok(name.ok_or_else(no_name)?.into());
    };
    let output = files::follow(output).await;
    if files::is_directory(&output).await {
        Ok(output.join(name.ok_or_else(no_name)?))
    } else {
        Ok(output)
    }
}
