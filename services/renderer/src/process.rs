//! The renderer as a process of its own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use shared::service;
use shared::telemetry::Process;

/// Fills the template of each message type that is due, and checks it against the limits of IO.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Settings file (TOML); without it the built-in defaults.
    #[arg(long, env = "PROMEMORIA_CONFIG")]
    config: Option<PathBuf>,
}

/// Runs the renderer with these words of a command line, its own name first, until a signal ends it. Ends the
/// process itself where the words ask for help or are wrong.
pub async fn process(words: Vec<OsString>) -> ExitCode {
    let Arguments { config } = Arguments::parse_from(words);
    service::process(Process::Renderer, config.as_deref(), crate::run).await
}
