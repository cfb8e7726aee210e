//! The services and the sandbox as one binary, for the end-to-end tests: the test build, whose clock the
//! tests move. The first argument is the program's name, then `--config FILE`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use shared::telemetry::Process;
use shared::{service, shutdown, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let config = arguments.nth(1).map(PathBuf::from);
    match (name.as_str(), config) {
        ("sandbox", Some(config)) => sandbox(&config).await,
        (_, Some(config)) => serve(&name, &config).await,
        _ => ExitCode::from(2),
    }
}

async fn serve(name: &str, config: &Path) -> ExitCode {
    let settings = match service::settings(Some(config)) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let Ok(signal) = shutdown::on_signal() else { return ExitCode::FAILURE };
    let ended = match name {
        "scheduler" => {
            telemetry::start(Process::Scheduler, &settings);
            scheduler::run(settings, signal).await
        }
        "renderer" => {
            telemetry::start(Process::Renderer, &settings);
            renderer::run(settings, signal).await
        }
        "dispatcher" => {
            telemetry::start(Process::Dispatcher, &settings);
            dispatcher::run(settings, signal).await
        }
        _ => return ExitCode::from(2),
    };
    ended.map_or_else(|error| error.exit_code(), |()| ExitCode::SUCCESS)
}

async fn sandbox(config: &Path) -> ExitCode {
    let options = std::fs::read_to_string(config).map(|text| sandbox::Options::from_toml(&text));
    let (Ok(Ok(options)), Ok(signal)) = (options, shutdown::on_signal()) else { return ExitCode::from(78) };
    let Ok(listener) = tokio::net::TcpListener::bind(options.bind).await else { return ExitCode::FAILURE };
    sandbox::serve(listener, options, signal).await;
    ExitCode::SUCCESS
}
