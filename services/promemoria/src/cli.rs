//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use serde_json::Value;

use crate::report::Report;

/// Case events in, the right IO message out, at the right moment: the tool of integrators and operators.
///
/// Exit codes: 0 good, 1 found something, 2 wrong usage, 69 a dependency is away.
#[derive(Debug, Parser)]
#[command(name = "promemoria", version, propagate_version = true)]
pub struct Cli {
    /// Settings file (TOML); without it the built-in defaults, relative to the working directory.
    #[arg(long, global = true, value_name = "FILE", env = "PROMEMORIA_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check case events and publish them: all of them, or none if one is bad.
    Publish {
        /// Files with one event, an array of events, or one event a line; `-` is standard input.
        #[arg(required = true, value_name = "EVENT.json")]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of an event or outcome type, or the list of event types.
    Schema {
        /// Type, for example permesso.rinnovato or messaggio.inviato.
        tipo: Option<String>,
    },
    /// Run events on a virtual clock and print each message: instant, text, reason. Nothing is sent.
    Simulate(Simulate),
    /// Render one message type with the data of an event.
    Preview(Preview),
    /// Check settings, enti, catalogue and texts; list every fault.
    Lint,
    /// Print a permit title (format, documents, fees, validity, how to apply), or the list.
    Permits {
        /// Code of the title, for example J or M.1.
        code: Option<String>,
    },
    /// Look at a case.
    #[command(subcommand)]
    Case(Case),
    /// List what is armed.
    Timers(Timers),
    /// Look at what was given up, and decide on it.
    #[command(subcommand)]
    Dead(Dead),
    /// Look at the messages of which nobody knows whether they were sent, and decide on them.
    #[command(subcommand)]
    InDoubt(InDoubt),
    /// Count every planned message twice, from the journal and from Redis, and name what does not add up.
    Audit(Audit),
    /// Put back into Redis what the journal holds and Redis lost. It may be interrupted and repeated.
    Rebuild(Rebuild),
    /// Keep the journal elsewhere.
    #[command(subcommand)]
    Journal(Journal),
    /// Look for what is wrong with RabbitMQ, Redis, IO's keys and the settings, and say how to mend it.
    Doctor,
    /// Do nothing until asked to stop: for a pod that operators run their commands in.
    Idle,
    /// Write the generated pages of the documentation, or check them.
    Docs(Docs),
    /// Print the completions of a shell.
    Completions {
        /// Shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Events, one a line, in the order in which they arrive; each arrives at its `time`.
    #[arg(value_name = "EVENTS.jsonl")]
    pub(crate) events: PathBuf,
    /// Ente whose choices count; events of another ente are taken as this one's.
    #[arg(long, value_name = "ENTE")]
    pub(crate) ente: String,
    /// When the clock starts; events that happened before arrive then. Default: with the first event.
    #[arg(long, value_name = "T")]
    pub(crate) from: Option<String>,
    /// When the clock stops. Default: when nothing is armed any more.
    #[arg(long, value_name = "T")]
    pub(crate) until: Option<String>,
    /// Write the timeline as a page for browser and printer too.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// A recipient that is not on IO; may be repeated.
    #[arg(long, value_name = "CODICE_FISCALE", num_args = 1..)]
    pub(crate) not_on_io: Vec<String>,
    /// IO refuses Premium, whatever the contract says.
    #[arg(long)]
    pub(crate) premium_refused: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Preview {
    /// Message type, for example permesso-in-scadenza.
    #[arg(value_name = "MESSAGGIO")]
    pub(crate) messaggio: String,
    /// Ente.
    #[arg(long, value_name = "ENTE")]
    pub(crate) ente: String,
    /// JSON file with the event's `data`; `-` is standard input. A missing fiscal code is IO's test citizen.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Event type that leads to the message. Default: the first that takes the data.
    #[arg(long, value_name = "TIPO")]
    pub(crate) evento: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Case {
    /// What happened and what is armed.
    Show(CaseShow),
}

#[derive(Debug, Args)]
pub(crate) struct CaseShow {
    /// Ente.
    #[arg(value_name = "ENTE")]
    pub(crate) ente: String,
    /// The case: the events' `subject`.
    #[arg(value_name = "PRATICA")]
    pub(crate) pratica: String,
    /// Service. Default: all that the ente runs.
    #[arg(long, value_name = "SERVIZIO")]
    pub(crate) servizio: Option<String>,
    /// One recipient's share of a list event too: `data.destinatario` of its outcomes.
    #[arg(long, value_name = "HASH")]
    pub(crate) destinatario: Option<String>,
    /// Read the history from an archive in place of the streams; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "no_journal")]
    pub(crate) from: Option<PathBuf>,
    /// Only how the case stands: the journal is read from its beginning, which takes a while.
    #[arg(long)]
    pub(crate) no_journal: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Timers {
    /// Ente.
    #[arg(long, value_name = "ENTE")]
    pub(crate) ente: String,
    /// From when.
    #[arg(long, value_name = "T")]
    pub(crate) from: Option<String>,
    /// Until when.
    #[arg(long, value_name = "T")]
    pub(crate) until: Option<String>,
    /// Most timers to list.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// List what was given up; nothing is taken off the queue.
    List {
        /// Only this code, for example schema.
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
        /// Most messages to list.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show one: its headers and the length of its body.
    Show {
        /// Its number or key in the list, or its message id.
        #[arg(value_name = "WHICH")]
        which: String,
        /// Print the body too, with fiscal codes hidden.
        #[arg(long)]
        body: bool,
    },
    /// Publish events again as they were, then take them off the queue.
    Requeue(Which),
    /// Take messages off the queue for good.
    Drop(Which),
}

/// At least one way to say which.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// Keys or message ids.
    #[arg(long, value_name = "ID", num_args = 1..)]
    pub(crate) id: Vec<String>,
    /// Every message with this code.
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Every message.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InDoubt {
    /// List them.
    List(Doubts),
    /// Send them again: a citizen may then get the message twice.
    Resend(Chosen),
    /// Give them up: a citizen may then not get the message at all.
    Drop(Chosen),
}

#[derive(Debug, Args)]
pub(crate) struct Doubts {
    /// Ente. Default: every ente.
    #[arg(long, value_name = "ENTE")]
    pub(crate) ente: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// Message keys, as `in-doubt list` shows them.
    #[arg(value_name = "CHIAVE", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) chiavi: Vec<String>,
    /// Every message in doubt.
    #[arg(long)]
    pub(crate) all: bool,
    /// Ente. Default: every ente.
    #[arg(long, value_name = "ENTE")]
    pub(crate) ente: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Ente. Default: every ente.
    #[arg(long, value_name = "ENTE")]
    pub(crate) ente: Option<String>,
    /// Read an archive in place of the streams; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    /// Ente. Default: every ente.
    #[arg(long, value_name = "ENTE")]
    pub(crate) ente: Option<String>,
    /// Read an archive in place of the streams, `-` from standard input; the schedulers must be stopped, and
    /// read the streams when they start.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// Change nothing: say what is missing, extra, shifted or elsewhere; exit 1 if anything is.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Journal {
    /// Write all lines of the three streams to a new file, one JSON object each. It holds personal data.
    Export(JournalExport),
}

#[derive(Debug, Args)]
pub(crate) struct JournalExport {
    /// The file; it must not exist yet. `-` is standard output.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
#[group(id = "do", required = true, multiple = false)]
pub(crate) struct DocsAction {
    /// Write them.
    #[arg(long)]
    pub(crate) write: bool,
    /// Compare them; exit 1 if one is old.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Docs {
    #[command(flatten)]
    pub(crate) action: DocsAction,
    /// Folder of the pages.
    #[arg(long, value_name = "FOLDER", default_value = "docs")]
    pub(crate) folder: PathBuf,
}

/// The completions of a shell.
pub(crate) fn completions(shell: Shell) -> Report {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "promemoria", &mut script);
    let text = String::from_utf8_lossy(&script).into_owned();
    Report::good(text.clone(), Value::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_ends_with_2() {
        for words in [
            &["promemoria"][..],
            &["promemoria", "publish"],
            &["promemoria", "nonsense"],
            &["promemoria", "dead", "drop"],
            &["promemoria", "dead", "drop", "--all", "--code", "schema"],
            &["promemoria", "in-doubt", "resend"],
            &["promemoria", "in-doubt", "resend", "--all", "abc"],
            &["promemoria", "docs"],
            &["promemoria", "timers", "--ente", "x", "--limit", "0"],
            &["promemoria", "simulate", "x.jsonl"],
        ] {
            let error = Cli::try_parse_from(words).expect_err(&words.join(" "));
            assert_eq!(error.exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn the_manual_has_every_command() {
        let manual = include_str!("../../../docs/cli.md");
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let below: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
            let wanted = if below.is_empty() { vec![""] } else { below };
            for below in wanted {
                let words = format!("promemoria {name} {below}");
                assert!(manual.contains(words.trim_end()), "{words}");
            }
        }
    }

    #[test]
    fn completions_name_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = completions(shell).text;
            for command in ["publish", "simulate", "in-doubt", "doctor"] {
                assert!(script.contains(command), "{shell}: {command}");
            }
        }
    }
}
