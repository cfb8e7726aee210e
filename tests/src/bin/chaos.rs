//! `make chaos` and `make soak`: the fault matrix against the real fleet.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tests::chaos::result::Outcome;
use tests::chaos::{Half, Length, run, soak};
use tests::fleet::Binaries;

/// The fault matrix.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs rows and writes docs/guarantees.json and docs/guarantees.md.
    Matrix {
        /// Rows by name (`F20`), `quick`, or `page` for the page alone; all of them if none is given.
        rows: Vec<String>,
        /// Long rows as long as the matrix says: hours in place of minutes.
        #[arg(long)]
        full: bool,
    },
    /// A random mix of faults; one that held goes to docs/guarantees.json and docs/guarantees.md.
    Soak {
        /// The same seed chooses the same faults.
        #[arg(long)]
        seed: Option<u64>,
        /// How long.
        #[arg(long, default_value_t = 30)]
        minutes: u64,
    },
    /// Looks for crash points in programs, which a release must not have.
    Points {
        /// The programs.
        programs: Vec<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(until_stopped(execute(Arguments::parse().command))).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A signal ends the work, and with it every process that it started.
async fn until_stopped(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let stop = shared::shutdown::on_signal()?;
    stop.run_until_cancelled(work).await.unwrap_or_else(|| Err(anyhow::anyhow!("stopped")))
}

async fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Matrix { rows, full } => {
            matrix(&rows, if full { Length::Full } else { Length::Short }).await
        }
        Command::Soak { seed, minutes } => {
            let seed = seed.map_or_else(fresh_seed, Ok)?;
            println!("soak: seed {seed}, {minutes} min");
            let soak = soak::soak(&binaries()?, seed, minutes).await?;
            println!("soak: held; {}", soak.line());
            Outcome::read()?.with(&soak).write()
        }
        Command::Points { programs } => tests::chaos::points::absent(&programs),
    }
}

async fn matrix(rows: &[String], length: Length) -> anyhow::Result<()> {
    let half = match rows {
        [] => Half::All,
        [one] if one == "page" => return Outcome::read()?.write(),
        [one] if one == "quick" => Half::Quick,
        named => Half::Named(named.to_vec()),
    };
    let outcome = run(&binaries()?, &half, length).await?;
    let broken: Vec<String> = outcome.broken().iter().map(|finding| finding.id.clone()).collect();
    let whole = Outcome::read().map_or_else(|_| outcome.clone(), |old| old.merged(&outcome));
    whole.write()?;
    anyhow::ensure!(broken.is_empty(), "broken: {}", broken.join(", "));
    Ok(())
}

/// The fleet's test build, which cargo puts beside this program.
fn binaries() -> anyhow::Result<Binaries> {
    let program = std::env::current_exe()?.with_file_name("fleet-process");
    anyhow::ensure!(program.is_file(), "{} is not built: use `make chaos`", program.display());
    Ok(Binaries::Together(program))
}

fn fresh_seed() -> anyhow::Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(u64::from(since.subsec_nanos()))
}
