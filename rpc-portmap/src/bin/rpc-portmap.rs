//! `rpc-portmap`: the portmapper and its client.

fn main() -> std::process::ExitCode {
    rpc_portmap::cli::main()
}
