//! `tftpd`: serves a directory over TFTP.

fn main() -> std::process::ExitCode {
    tftpd::cli::tftpd()
}
