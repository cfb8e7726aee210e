//! The `renderer` binary.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    renderer::process(std::env::args_os().collect()).await
}
