//! `tftp`: fetches a file over TFTP.

fn main() -> std::process::ExitCode {
    tftpd::cli::tftp()
}
