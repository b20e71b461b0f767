//! The binary: picks a command, runs it, and ends with its exit code.

mod admin;
mod cli;
mod config;
mod doors;
mod logging;
mod shell;

/// Gives memory back to the system after big queries, and is fast with many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // One provider for every TLS connection; the libraries would refuse to choose one themselves.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("error: another TLS provider is installed already");
    }
    cli::main()
}
