//! The `renderer` binary.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use shared::telemetry::Process;
use shared::{service, shutdown, telemetry};

/// Fills the template of each message type that is due, and checks it against the limits of IO.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Settings file (TOML); without it the built-in defaults.
    #[arg(long, env = "PROMEMORIA_CONFIG")]
    config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let settings = match service::settings(Arguments::parse().config.as_deref()) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    telemetry::start(Process::Renderer, &settings);
    let ended = match shutdown::on_signal() {
        Ok(signal) => renderer::run(settings, signal).await,
        Err(error) => Err(error.into()),
    };
    ended.map_or_else(|error| error.exit_code(), |()| ExitCode::SUCCESS)
}
