//! `case show`: what happened in a case and what is armed. Never a personal datum: no fiscal code, no
//! field, no text.

mod view;

use serde_json::{Value, json};
use shared::domain::plan::case_id;
use shared::store::CaseStore;

use crate::cli::CaseShow;
use crate::report::{Failure, Report};
use crate::setup::Setup;
use crate::{connect, instant};
use view::{CaseView, view};

/// Shows a case of every service that has it.
pub(crate) async fn run(setup: &Setup, arguments: &CaseShow) -> Result<Report, Failure> {
    let ente = setup.ente(&arguments.ente)?;
    let mut ids = Vec::new();
    for servizio in ente.servizi.keys() {
        if arguments.servizio.as_ref().is_some_and(|only| only != servizio) {
            continue;
        }
        ids.push(case_id(servizio, &arguments.pratica, None));
        let share = arguments.destinatario.as_deref().map(str::to_ascii_lowercase);
        ids.extend(share.map(|hash| case_id(servizio, &arguments.pratica, Some(&hash))));
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
    if views.is_empty() {
        return Err(Failure::fault(
            "PRATICA: the ente has no such case; list events are kept by recipient: name one with --destinatario",
        ));
    }
    Ok(report(&views))
}

fn report(views: &[CaseView]) -> Report {
    let text: Vec<String> = views.iter().map(CaseView::text).collect();
    let in_doubt = views.iter().any(|view| view.messages.iter().any(|message| message.state == "in-doubt"));
    Report::with_findings(
        text.join("\n"),
        json!({ "cases": views.iter().map(CaseView::json).collect::<Value>() }),
        in_doubt,
    )
}

/// `01/04/2027 09:00` and RFC 3339 of Unix milliseconds.
fn both(ms: i64, zone: chrono_tz::Tz) -> (String, String) {
    let at = instant::of_ms(ms);
    (instant::people(at, zone), instant::machine(at, zone))
}
