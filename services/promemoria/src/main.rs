//! Promemoria: the `promemoria` binary.

use std::process::ExitCode;

use clap::Parser;
use promemoria::{Cli, run};

#[tokio::main]
async fn main() -> ExitCode {
    let ending = run(Cli::parse()).await;
    ending.write();
    ExitCode::from(ending.code)
}
