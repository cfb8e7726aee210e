//! The `scheduler` binary.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    scheduler::process(std::env::args_os().collect()).await
}
