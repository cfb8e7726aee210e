//! The `fleet` binary: the three services and the command line in one file.
//!
//! Four binaries hold the same libraries four times; the image has this one, under four names.

mod role;

use std::process::ExitCode;

use clap::Parser;
use promemoria::Cli;
use role::Role;

/// Wrong usage.
const EX_USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    match Role::of(std::env::args_os().collect()) {
        Some((Role::Scheduler, words)) => scheduler::process(words).await,
        Some((Role::Renderer, words)) => renderer::process(words).await,
        Some((Role::Dispatcher, words)) => dispatcher::process(words).await,
        Some((Role::Promemoria, words)) => {
            let ending = promemoria::run(Cli::parse_from(words)).await;
            ending.write();
            ExitCode::from(ending.code)
        }
        None => {
            eprintln!("usage: fleet scheduler|renderer|dispatcher|promemoria [ARGUMENT]...");
            ExitCode::from(EX_USAGE)
        }
    }
}
