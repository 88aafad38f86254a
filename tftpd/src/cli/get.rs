//! `tftp get`.

use std::{
    ffi::OsStr,
    io,
    net::SocketAddr,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempPath;
use tokio::{fs::File, io::AsyncWriteExt};

use super::{
    exit::{self, Failure},
    url::Url,
};
use crate::client::{Client, TransferError, Transferred};

/// Fetches `url` into `output`, standard output, or a file named like the last part of its path.
pub(super) async fn get(
    url: Url,
    output: Option<PathBuf>,
    timeout: Duration,
) -> Result<(), Failure> {
    let server = resolve(&url).await?;
    let client = Client::new()
        .map_err(|error| Failure::from_error(exit::OSERR, &error))?
        .answer_within(timeout);
    let output = match output {
        Some(output) => output,
        None => file_name(&url)?.into(),
    };
    if output == Path::new("-") {
        let mut stdout = tokio::io::stdout();
        client
            .get(server, &url.path, &mut stdout)
            .await
            .map_err(|error| not_fetched(&error))?;
        return Ok(());
    }
    let (mut file, path) = temporary(&output).map_err(|error| not_stored(&output, &error))?;
    let fetched = client
        .get(server, &url.path, &mut file)
        .await
        .map_err(|error| not_fetched(&error))?;
    file.shutdown()
        .await
        .map_err(|error| not_stored(&output, &error))?;
    path.persist(&output)
        .map_err(|error| not_stored(&output, &error.error))?;
    report(&output, &fetched);
    Ok(())
}

async fn resolve(url: &Url) -> Result<SocketAddr, Failure> {
    let nobody = || {
        Failure::new(
            exit::UNAVAILABLE,
            format!("there is no host named {}", url.host),
        )
    };
    let addresses = tokio::net::lookup_host((url.host.as_str(), url.port)).await;
    addresses
        .map_err(|error| nobody().because(&error))?
        .next()
        .ok_or_else(nobody)
}

/// The last part of the path.
fn file_name(url: &Url) -> Result<&OsStr, Failure> {
    Path::new(OsStr::from_bytes(&url.path))
        .file_name()
        .ok_or_else(|| {
            Failure::new(exit::USAGE, "the path does not end in a file name")
                .hint("name the output with -o FILE")
        })
}

/// A file beside the one that is to appear, with the permissions of a new file; gone if it is not
/// made to stay.
fn temporary(output: &Path) -> io::Result<(File, TempPath)> {
    let directory = output
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // The process's umask takes away what it always does.
    let permissions = std::fs::Permissions::from_mode(0o666);
    let file = tempfile::Builder::new()
        .prefix(".tftp-")
        .permissions(permissions)
        .tempfile_in(directory)?;
    let (file, path) = file.into_parts();
    Ok((File::from_std(file), path))
}

fn report(output: &Path, fetched: &Transferred) {
    let (size, seconds) = (fetched.size, fetched.elapsed.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
    let rate = size as f64 / seconds.max(1e-6) / 1e6;
    eprintln!(
        "{}: {size} bytes in {seconds:.3} s ({rate:.2} MB/s) from {}",
        output.display(),
        fetched.server
    );
}

fn not_stored(output: &Path, error: &io::Error) -> Failure {
    let code = if error.kind() == io::ErrorKind::PermissionDenied {
        exit::NOPERM
    } else {
        exit::IOERR
    };
    Failure::new(code, format!("cannot write {}", output.display())).because(error)
}

fn not_fetched(error: &TransferError) -> Failure {
    let code = match error {
        error if error.is_not_found() => exit::NOINPUT,
        error if error.is_denied() => exit::NOPERM,
        TransferError::NothingListens(_)
        | TransferError::Unreachable { .. }
        | TransferError::NoAnswer { .. }
        | TransferError::OtherAddress { .. } => exit::UNAVAILABLE,
        TransferError::Sink(_) | TransferError::Silence { .. } | TransferError::Gone { .. } => {
            exit::IOERR
        }
        TransferError::NoPort(_) | TransferError::Socket(_) => exit::OSERR,
        TransferError::Name => exit::USAGE,
        _ => exit::PROTOCOL,
    };
    let failure = Failure::from_error(code, error);
    match hint(error) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn hint(error: &TransferError) -> Option<&'static str> {
    Some(match error {
        TransferError::NothingListens(_) => {
            "start the server, or name its port: tftp://HOST:PORT/PATH"
        }
        TransferError::NoAnswer { .. } => {
            "a firewall may drop the request, or the answer, which comes from another port than the one asked"
        }
        TransferError::Silence { .. } => {
            "a firewall may let the first packet through and not the next ones"
        }
        TransferError::OtherAddress { .. } => {
            "ask the address that answers, or let the server reply from the one asked"
        }
        _ => return None,
    })
}
