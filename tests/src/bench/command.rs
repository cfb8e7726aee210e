//! What can be asked of the benchmark. Its own processes are the same program with a subcommand.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use tokio::runtime::{Builder, Runtime};

use super::floor;
use super::produce::{self, Produce};
use super::run;

/// Measures the fleet against a floor of our own, in turns, on private brokers.
#[derive(Debug, Parser)]
#[command(version, name = "bench")]
pub struct Arguments {
    #[command(subcommand)]
    process: Option<Process>,
    #[command(flatten)]
    pub(super) plan: Plan,
}

/// Parts of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// Messages a second from event to IO, and the CPU of each.
    Relay,
    /// Latency at half of that rate.
    Latency,
    /// Many timers due at one instant.
    Fire,
    /// Redis memory of armed timers, and the slowest script.
    Memory,
    /// The calls of several dispatchers on one account of limited calls; only when asked for.
    Quota,
    /// Events a second that a rebuild puts back into an empty Redis; only when asked for.
    Rebuild,
}

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Plan {
    /// Messages in each run of the relay.
    #[arg(long, default_value_t = 20_000)]
    pub(super) n: u64,
    /// Pairs of floor and fleet.
    #[arg(long, default_value_t = 5)]
    pub(super) pairs: usize,
    /// Timers due at one instant.
    #[arg(long, default_value_t = 100_000)]
    pub(super) due: u64,
    /// Pairs of the timers that are due at one instant.
    #[arg(long, default_value_t = 3)]
    pub(super) due_pairs: usize,
    /// Armed timers whose memory is measured.
    #[arg(long, default_value_t = 1_000_000)]
    pub(super) timers: u64,
    /// A short look: 2,000 messages, 2 pairs, 10,000 timers.
    #[arg(long)]
    pub(super) quick: bool,
    /// Only these parts.
    #[arg(long, value_delimiter = ',')]
    pub(super) only: Vec<Part>,
    /// Redis before everything else on the processors, as on a core of its own; needs root.
    #[arg(long)]
    pub(super) redis_first: bool,
    /// Only the floor.
    #[arg(long)]
    pub(super) floor_only: bool,
    /// Writes the report there too.
    #[arg(long, value_name = "FILE")]
    pub(super) markdown: Option<PathBuf>,
}

impl Plan {
    /// With what `--quick` means.
    fn settled(mut self) -> anyhow::Result<Self> {
        if self.quick {
            (self.n, self.pairs, self.due, self.due_pairs, self.timers) = (2_000, 2, 10_000, 1, 10_000);
        }
        let counts = [("--n", self.n), ("--due", self.due), ("--timers", self.timers)];
        for (name, count) in counts {
            anyhow::ensure!((1..=9_000_000).contains(&count), "{name}: must be 1 to 9000000, got {count}");
        }
        anyhow::ensure!(self.pairs > 0, "--pairs: must be 1 or more");
        anyhow::ensure!(self.due_pairs > 0, "--due-pairs: must be 1 or more");
        Ok(self)
    }

    /// Whether a part is asked for.
    pub(super) fn wants(&self, part: Part) -> bool {
        (self.only.is_empty() && part != Part::Quota && part != Part::Rebuild) || self.only.contains(&part)
    }
}

/// A process of the benchmark; started by it, not by hand.
#[derive(Debug, Subcommand)]
enum Process {
    #[command(hide = true)]
    FloorIntake(floor::Intake),
    #[command(hide = true)]
    FloorRender(floor::Render),
    #[command(hide = true)]
    FloorDispatch(floor::Dispatch),
    #[command(hide = true)]
    Produce(Produce),
}

/// Runs what was asked for.
///
/// # Errors
/// A process did not start, a message is missing or came twice: the benchmark has no figures then.
pub fn execute(arguments: Arguments) -> anyhow::Result<()> {
    // Every part has an HTTP client; another library may have chosen the provider already: it is the same one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let Some(process) = arguments.process else {
        return several_threads()?.block_on(run::run(&arguments.plan.settled()?));
    };
    // One thread: the relay gained nothing from two, and lapin has a thread of its own beside it.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match process {
            Process::FloorIntake(intake) => floor::intake(intake).await,
            Process::FloorRender(render) => floor::render(render).await,
            Process::FloorDispatch(dispatch) => floor::dispatch(dispatch).await,
            Process::Produce(produce) => produce::run(produce).await,
        }
    })
}

fn several_threads() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("no runtime")
}
