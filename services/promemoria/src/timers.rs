//! `timers`: what is armed, by due instant.

use chrono_tz::Tz;
use serde_json::{Value, json};
use shared::store::inspect::{Inspector, Page, Seen, Shelf, Window};
use shared::store::keys::Kind;

use crate::cli::Timers;
use crate::report::{Failure, Report, push};
use crate::setup::Setup;
use crate::{connect, instant};

/// Entries looked at in one script.
const PAGE: u64 = 200;

/// Lists what is armed.
pub(crate) async fn run(setup: &Setup, arguments: &Timers) -> Result<Report, Failure> {
    let ente = setup.ente(&arguments.ente)?;
    let zone = ente.fuso;
    let bound = |option, text: &Option<String>| {
        text.as_ref()
            .map(|text| instant::read(option, text, zone).map(|at| at.timestamp_millis()))
            .transpose()
    };
    let (from_ms, until_ms) = (bound("--from", &arguments.from)?, bound("--until", &arguments.until)?);
    if from_ms.zip(until_ms).is_some_and(|(from, until)| from > until) {
        return Err(Failure::Usage("--until: must not be before --from".to_owned()));
    }
    let inspector = Inspector::new(connect::redis(&setup.settings).await?);
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let mut timers: Vec<Timer> = Vec::new();
    let mut window = Window { from_ms, until_ms, skip: 0, most: PAGE };
    loop {
        let page = inspector.page(&ente.id, Shelf::Due, window).await.map_err(|e| connect::redis_away(&e))?;
        window.skip += PAGE;
        timers.extend(of_page(&page));
        if timers.len() > limit || window.skip >= page.total {
            break;
        }
    }
    let is_more = timers.len() > limit;
    timers.truncate(limit);
    Ok(report(&timers, is_more, zone))
}

/// One armed message or office timer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Timer {
    due_ms: i64,
    /// Message type or office timer; none where the case cannot be read.
    rule: Option<String>,
    servizio: String,
    pratica: String,
    is_late: bool,
}

/// Due for longer than this and not taken is late.
pub(crate) const LATE_MS: i64 = 60_000;

/// The messages and office timers among a page's entries: the rest is the fleet's own bookkeeping.
fn of_page(page: &Page) -> Vec<Timer> {
    let messages = page.entries.iter().filter(|seen| seen.member.kind == Kind::Message);
    messages.map(|seen| timer(seen, page.now_ms)).collect()
}

fn timer(seen: &Seen, now_ms: i64) -> Timer {
    let case = seen.case.as_ref();
    let planned = case.and_then(|case| case.planned.iter().find(|planned| planned.slot == seen.member.slot));
    Timer {
        due_ms: seen.at_ms,
        rule: planned.map(|planned| planned.rule.clone()),
        servizio: case.map(|case| case.servizio.clone()).unwrap_or_default(),
        pratica: case.map(|case| case.pratica.clone()).unwrap_or_default(),
        is_late: seen.at_ms < now_ms - LATE_MS,
    }
}

fn report(timers: &[Timer], is_more: bool, zone: Tz) -> Report {
    let mut text = String::new();
    let mut list = Vec::new();
    for timer in timers {
        let due = instant::of_ms(timer.due_ms);
        let rule = timer.rule.as_deref().unwrap_or("(case not readable)");
        let late = if timer.is_late { "  LATE" } else { "" };
        let pratica = crate::shown::shown(&timer.pratica);
        push(&mut text, format_args!("{}  {rule:<48} {pratica}{late}\n", instant::people(due, zone)));
        list.push(json!({
            "scadenza": instant::machine(due, zone),
            "nome": timer.rule,
            "servizio": timer.servizio,
            "pratica": pratica,
            "late": timer.is_late,
        }));
    }
    if timers.is_empty() {
        text.push_str("nothing armed\n");
    }
    if is_more {
        text.push_str("and more: raise --limit, or narrow --from and --until\n");
    }
    let found = timers.iter().any(|timer| timer.is_late || timer.rule.is_none());
    Report::with_findings(text, json!({ "timers": Value::from(list), "more": is_more }), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(is_late: bool) -> Timer {
        Timer {
            due_ms: 1_806_562_800_000,
            rule: Some("permesso-in-scadenza".to_owned()),
            servizio: "permesso-soggiorno".to_owned(),
            pratica: "2026/0451".to_owned(),
            is_late,
        }
    }

    #[test]
    fn a_timer_is_told_in_the_entes_time() {
        let report = report(&[timer(false)], true, Tz::Europe__Rome);
        let line = "01/04/2027 09:00  permesso-in-scadenza                             2026/0451\n";
        assert_eq!(report.text, format!("{line}and more: raise --limit, or narrow --from and --until\n"));
        assert_eq!(report.json["timers"][0]["scadenza"], "2027-04-01T09:00:00+02:00");
        assert!(!report.found);
    }

    #[test]
    fn what_is_late_is_a_finding() {
        assert!(report(&[timer(true)], false, Tz::Europe__Rome).found);
    }
}
