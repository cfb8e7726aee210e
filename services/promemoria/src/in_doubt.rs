//! `in-doubt`: messages of which nobody knows whether they were sent, and what an operator decides on them.

mod decide;
mod find;

use serde_json::{Value, json};
use shared::store::inspect::{Decision, Inspector};

use crate::cli::{Chosen, InDoubt};
use crate::report::{Failure, Report, counted, push};
use crate::setup::Setup;
use crate::{connect, instant};
use find::{Doubt, doubts};

/// Runs one of the three.
pub(crate) async fn run(setup: &Setup, action: &InDoubt) -> Result<Report, Failure> {
    let inspector = Inspector::new(connect::redis(&setup.settings).await?);
    match action {
        InDoubt::List(only) => Ok(list(&doubts(setup, &inspector, only.ente.as_deref()).await?)),
        InDoubt::Resend(chosen) => {
            let doubts = choose(doubts(setup, &inspector, chosen.ente.as_deref()).await?, chosen)?;
            let decided = decide::resend(&inspector, &doubts).await?;
            Ok(told(&decided, "to be sent again", Decision::Resend))
        }
        InDoubt::Drop(chosen) => {
            let doubts = choose(doubts(setup, &inspector, chosen.ente.as_deref()).await?, chosen)?;
            let decided = decide::drop_all(setup, &inspector, &doubts).await?;
            Ok(told(&decided, "given up", Decision::Drop))
        }
    }
}

/// What became of each decision.
pub(crate) struct Decided {
    pub(crate) chiave: String,
    /// False if the message changed meanwhile: nothing was done.
    pub(crate) done: bool,
}

fn list(doubts: &[Doubt<'_>]) -> Report {
    let mut text = String::new();
    for doubt in doubts {
        let since = instant::people(instant::of_ms(doubt.since_ms), doubt.ente.fuso);
        let pratica = crate::shown::shown(&doubt.case.pratica);
        push(
            &mut text,
            format_args!(
                "{}  {since}  {:<12} {:<48} {pratica}  {}  {}\n",
                doubt.chiave,
                doubt.ente.id,
                doubt.planned.rule,
                doubt.why,
                policy_for_people(doubt)
            ),
        );
    }
    let last = match doubts.len() {
        0 => "nothing in doubt\n".to_owned(),
        count => format!(
            "{} in doubt; ask the recipient's side or the ente, then `in-doubt resend` or `in-doubt drop`\n",
            counted(count, "message")
        ),
    };
    text.push_str(&last);
    let items = doubts.iter().map(|doubt| {
        json!({
            "chiave": doubt.chiave,
            "ente": doubt.ente.id,
            "messaggio": doubt.planned.rule,
            "pratica": crate::shown::shown(&doubt.case.pratica),
            "since": instant::machine(instant::of_ms(doubt.since_ms), doubt.ente.fuso),
            "why": doubt.why,
            "politica": doubt.policy().as_str(),
            "until": doubt.gives_up_ms().map(|ms| instant::machine(instant::of_ms(ms), doubt.ente.fuso)),
        })
    });
    Report::with_findings(text, json!({ "in_doubt": items.collect::<Value>() }), !doubts.is_empty())
}

/// `hold`, or until when it waits.
fn policy_for_people(doubt: &Doubt<'_>) -> String {
    let policy = doubt.policy().as_str();
    match doubt.gives_up_ms() {
        Some(ms) => format!("{policy} {}", instant::people(instant::of_ms(ms), doubt.ente.fuso)),
        None => policy.to_owned(),
    }
}

/// The doubts that were named; every key must be one.
fn choose<'a>(doubts: Vec<Doubt<'a>>, chosen: &Chosen) -> Result<Vec<Doubt<'a>>, Failure> {
    if chosen.all {
        return Ok(doubts);
    }
    let unknown: Vec<String> = chosen
        .chiavi
        .iter()
        .filter(|chiave| !doubts.iter().any(|doubt| doubt.chiave == **chiave))
        .map(|chiave| format!("CHIAVE {}: is not in doubt; nothing was done", crate::shown::shown(chiave)))
        .collect();
    if !unknown.is_empty() {
        return Err(Failure::Fault(unknown));
    }
    Ok(doubts.into_iter().filter(|doubt| chosen.chiavi.contains(&doubt.chiave)).collect())
}

fn told(decided: &[Decided], what: &str, decision: Decision) -> Report {
    let late = decided.iter().filter(|it| !it.done).count();
    let mut text = format!("{} {what}\n", counted(decided.len() - late, "message"));
    for it in decided.iter().filter(|it| !it.done) {
        push(&mut text, format_args!("{}: changed meanwhile, nothing was done; list again\n", it.chiave));
    }
    let verb = match decision {
        Decision::Resend => "resent",
        Decision::Drop => "dropped",
    };
    let keys = |done: bool| -> Value {
        decided.iter().filter(|it| it.done == done).map(|it| it.chiave.as_str()).collect()
    };
    Report::with_findings(text, json!({ verb: keys(true), "changed": keys(false) }), late > 0)
}
