//! `rpc-portmap`: the portmapper and what asks it.

fn main() -> std::process::ExitCode {
    rpc_portmap::cli::main()
}
