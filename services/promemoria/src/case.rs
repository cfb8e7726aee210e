//! `case show`: what happened in a case, by the journal, and how it stands, by the ledger. Never a personal
//! datum: no fiscal code, no field, no text.

mod history;
mod view;

use serde_json::{Value, json};
use shared::domain::plan::case_id;
use shared::store::CaseStore;

use crate::cli::CaseShow;
use crate::journal::Source;
use crate::report::{Failure, Report};
use crate::setup::Setup;
use crate::{connect, instant};
use history::{History, Step, Wanted};
use view::{CaseView, view};

/// Shows a case of every service that has it.
pub(crate) async fn run(setup: &Setup, arguments: &CaseShow) -> Result<Report, Failure> {
    let ente = setup.ente(&arguments.ente)?;
    let share = arguments.destinatario.as_deref().map(str::to_ascii_lowercase);
    let all = ente.servizi.keys().map(String::as_str);
    let servizi: Vec<&str> =
        all.filter(|id| arguments.servizio.as_ref().is_none_or(|only| only == id)).collect();
    let mut ids = Vec::new();
    for servizio in &servizi {
        ids.push(case_id(servizio, &arguments.pratica, None));
        ids.extend(share.as_deref().map(|hash| case_id(servizio, &arguments.pratica, Some(hash))));
    }
    if ids.is_empty() {
        let known: Vec<&str> = ente.servizi.keys().map(String::as_str).collect();
        return Err(Failure::Usage(format!(
            "--servizio: the ente does not run it; it runs {}",
            known.join(", ")
        )));
    }
    let store = CaseStore::new(connect::redis(&setup.settings).await?);
    let loaded = store.load(&ente.id, None, &ids, &[]).await.map_err(|error| connect::redis_away(&error))?;
    let known = loaded.units.iter().filter(|unit| unit.known);
    let views: Vec<CaseView> = known.map(|unit| view(&ente.id, unit, ente.fuso)).collect();
    let wanted =
        Wanted { ente: &ente.id, servizi, pratica: &arguments.pratica, destinatario: share, ids: &ids };
    let steps = if arguments.no_journal { None } else { Some(told(setup, arguments, &wanted).await?) };
    if views.is_empty() && steps.as_ref().is_none_or(Vec::is_empty) {
        return Err(Failure::fault(
            "PRATICA: the ente has no such case; list events are kept by recipient: name one with --destinatario",
        ));
    }
    Ok(report(&views, steps.as_deref(), ente.fuso))
}

/// Reads the journal for what it tells of the case.
async fn told(setup: &Setup, arguments: &CaseShow, wanted: &Wanted<'_>) -> Result<Vec<Step>, Failure> {
    let mut source = Source::open(setup, arguments.from.as_deref()).await?;
    let mut history = History::default();
    while let Some(line) = source.next().await? {
        history.line(wanted, &line);
    }
    source.close().await;
    Ok(history.steps())
}

fn report(views: &[CaseView], steps: Option<&[Step]>, zone: chrono_tz::Tz) -> Report {
    let mut text: Vec<String> = views.iter().map(CaseView::text).collect();
    if views.is_empty() {
        text.push("Redis has no record of it: retention took it, or it was lost\n".to_owned());
    }
    text.extend(steps.map(|steps| history::text(steps, zone)));
    let in_doubt = views.iter().any(|view| view.messages.iter().any(|message| message.state == "in-doubt"));
    Report::with_findings(
        text.join("\n"),
        json!({
            "cases": views.iter().map(CaseView::json).collect::<Value>(),
            "history": steps.map(|steps| history::json(steps, zone)),
        }),
        in_doubt,
    )
}

/// `01/04/2027 09:00` and RFC 3339 of Unix milliseconds.
fn both(ms: i64, zone: chrono_tz::Tz) -> (String, String) {
    let at = instant::of_ms(ms);
    (instant::people(at, zone), instant::machine(at, zone))
}
