//! The `dispatcher` binary.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    dispatcher::process(std::env::args_os().collect()).await
}
