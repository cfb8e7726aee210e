//! The `sandbox` binary.

use clap::Parser;
use sandbox::{Options, serve};
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Bad settings (`EX_CONFIG` of sysexits.h).
const EX_CONFIG: u8 = 78;

/// A stand-in for the IO API, for trial and tests. Never deploy it to production.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Settings file (TOML); only its [sandbox] section is read.
    #[arg(long, value_name = "FILE", env = "PROMEMORIA_CONFIG")]
    config: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one. Overrides the file.
    #[arg(long, value_name = "ADDRESS", env = "PROMEMORIA__SANDBOX__BIND")]
    bind: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    start_log();
    let options = match load(&Arguments::parse()) {
        Ok(options) => options,
        Err(faults) => {
            for fault in faults {
                eprintln!("sandbox: {fault}");
            }
            return ExitCode::from(EX_CONFIG);
        }
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The file's options, under the command line's.
fn load(arguments: &Arguments) -> Result<Options, Vec<String>> {
    let mut options = match &arguments.config {
        None => Options::default(),
        Some(path) => {
            let name = path.display();
            let text = std::fs::read_to_string(path).map_err(|error| vec![format!("{name}: {error}")])?;
            Options::from_toml(&text).map_err(|faults| {
                faults.into_iter().map(|fault| format!("{name}: {fault}")).collect::<Vec<_>>()
            })?
        }
    };
    options.bind = arguments.bind.unwrap_or(options.bind);
    Ok(options)
}

async fn run(options: Options) -> std::io::Result<()> {
    let bind = options.bind;
    let listener = TcpListener::bind(bind)
        .await
        .map_err(|error| std::io::Error::new(error.kind(), format!("cannot listen on {bind}: {error}")))?;
    let shutdown = stop_on_signal()?;
    // The first line on stdout: scripts read the port from it. A closed stdout is no reason to stop.
    let line = format!("sandbox listening on http://{}\n", listener.local_addr()?);
    if std::io::stdout().write_all(line.as_bytes()).and_then(|()| std::io::stdout().flush()).is_err() {
        tracing::warn!("address not written to stdout");
    }
    serve(listener, options, shutdown).await;
    Ok(())
}

/// A token that SIGTERM and SIGINT cancel.
fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
    });
    Ok(shutdown)
}

/// Logs to stderr: stdout has the address only.
fn start_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
