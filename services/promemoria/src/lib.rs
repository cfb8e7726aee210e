//! The command line for integrators and operators.
//!
//! `cli` has the words of the command line; each command is a module of its own that turns what it reads
//! into a `Report`: a text for people and the same as JSON. `report` knows the exit codes.
//! `setup` reads settings, catalogue and enti, `connect` reaches RabbitMQ and Redis, `instant` reads and
//! writes instants, `shown` makes what others wrote fit for a terminal.

mod case;
mod cli;
mod connect;
mod dead;
mod docs;
mod doctor;
mod idle;
mod in_doubt;
mod instant;
mod journal;
mod lint;
mod permits;
mod preview;
mod publish;
mod report;
mod schema;
mod setup;
mod shown;
mod simulate;
mod timers;

pub use cli::Cli;
pub use report::Ending;

use cli::{Case, Command, Journal};
use report::{Failure, Report};
use setup::Setup;

/// Runs one command. Nothing is written yet: the ending holds it.
pub async fn run(cli: Cli) -> Ending {
    if let Command::Completions { shell } = cli.command {
        return Ending::of(Ok(cli::completions(shell)), false);
    }
    Ending::of(dispatch(&cli).await, cli.json)
}

async fn dispatch(cli: &Cli) -> Result<Report, Failure> {
    let config = cli.config.as_deref();
    let setup = || Setup::load(config);
    match &cli.command {
        Command::Publish { files } => publish::run(&setup()?, files).await,
        Command::Schema { tipo } => schema::run(&setup::catalogue(config)?, tipo.as_deref()),
        Command::Simulate(arguments) => simulate::run(&setup()?, arguments),
        Command::Preview(arguments) => preview::run(&setup()?, arguments),
        Command::Lint => Ok(lint::run(config)),
        Command::Permits { code } => permits::run(&setup::catalogue(config)?, code.as_deref()),
        Command::Case(Case::Show(arguments)) => case::run(&setup()?, arguments).await,
        Command::Timers(arguments) => timers::run(&setup()?, arguments).await,
        Command::Dead(action) => dead::run(&setup()?, action).await,
        Command::InDoubt(action) => in_doubt::run(&setup()?, action).await,
        Command::Audit(arguments) => journal::audit(&setup()?, arguments).await,
        Command::Rebuild(arguments) => journal::rebuild(&setup()?, arguments).await,
        Command::Journal(Journal::Export(arguments)) => journal::export(&setup()?, arguments, cli.json).await,
        Command::Doctor => doctor::run(config).await,
        Command::Idle => idle::run().await,
        Command::Docs(arguments) => docs::run(&setup::catalogue(config)?, arguments),
        Command::Completions { shell } => Ok(cli::completions(*shell)),
    }
}
