//! `simulate`: a case's whole timeline on a virtual clock, with the fleet's own check, planner and renderer.
//!
//! `run` moves the clock, `timeline` says what happened, `text` and `page` show it, `letter` takes a
//! message's text apart as the app does.

mod letter;
mod page;
mod run;
mod text;
mod timeline;

#[cfg(test)]
mod tests;

use serde_json::json;

use crate::cli::Simulate;
use crate::publish;
use crate::report::{Failure, Report};
use crate::setup::Setup;
use timeline::Timeline;

/// Runs the events and shows what they lead to.
pub(crate) fn run(setup: &Setup, arguments: &Simulate) -> Result<Report, Failure> {
    let given = publish::read_all(std::slice::from_ref(&arguments.events))?;
    let timeline = run::timeline(setup, arguments, &given)?;
    if let Some(file) = &arguments.html {
        let page = page::page(&timeline)?;
        std::fs::write(file, page)
            .map_err(|error| Failure::fault(format!("--html: cannot be written: {}", error.kind())))?;
    }
    Ok(report(&timeline))
}

fn report(timeline: &Timeline) -> Report {
    let json = json!({
        "ente": timeline.ente,
        "from": timeline.from,
        "until": timeline.until,
        "timeline": timeline.entries,
        "armed": timeline.armed,
    });
    Report::with_findings(text::text(timeline), json, timeline.has_faults())
}
