//! `tftp`: fetches and sends files over TFTP.

fn main() -> std::process::ExitCode {
    tftpd::cli::tftp()
}
