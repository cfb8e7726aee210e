//! Moves the virtual clock through the events.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::Value;
use shared::clock::Clock;
use shared::domain::FiscalCode;
use shared::domain::ente::Ente;
use shared::simulate::{Simulation, World};

use super::timeline::{Naming, Timeline};
use crate::cli::Simulate;
use crate::instant;
use crate::publish::{Given, routing_key};
use crate::report::Failure;
use crate::setup::Setup;

/// Most times that the clock is moved to what is armed last: each may arm something later, yet no rule does
/// so for ever.
const ROUNDS: usize = 100;

/// Runs the events.
pub(super) fn timeline(setup: &Setup, arguments: &Simulate, given: &[Given]) -> Result<Timeline, Failure> {
    let ente = setup.ente(&arguments.ente)?;
    let bound = |option, text: &Option<String>| {
        text.as_ref().map(|text| instant::read(option, text, ente.fuso)).transpose()
    };
    let (from, until) = (bound("--from", &arguments.from)?, bound("--until", &arguments.until)?);
    let arrivals: Vec<Arrival> = given.iter().map(|given| Arrival::of(&given.body, ente)).collect();
    let first = arrivals.iter().filter_map(|arrival| arrival.time).min();
    let start = from.or(first).unwrap_or_else(|| Clock::system().now());
    if until.is_some_and(|until| until < start) {
        return Err(Failure::Usage("--until: must not be before the clock starts".to_owned()));
    }
    let (texts, hash) = (setup.texts(ente)?, setup.hash());
    let world = World {
        catalogue: &setup.catalogue,
        ente,
        texts: &texts,
        hash: &hash,
        not_on_io: absent(&arguments.not_on_io)?,
        premium_refused: arguments.premium_refused,
    };
    let mut simulation = Simulation::new(world, start);
    for arrival in &arrivals {
        let at = arrival.time.unwrap_or(start).max(start);
        if until.is_none_or(|until| at <= until) {
            simulation.publish(&arrival.body, &routing_key(&arrival.body), at);
        }
    }
    let end = match until {
        Some(until) => {
            simulation.advance(until);
            until
        }
        None => run_out(&mut simulation, start),
    };
    let cases = arrivals.into_iter().filter_map(|arrival| arrival.case).collect();
    let naming = Naming { catalogue: &setup.catalogue, ente, hash: &hash, cases };
    Ok(Timeline::of(&simulation, &naming, (start, end)))
}

/// Moves the clock until nothing is armed. Returns the last instant at which something happened.
fn run_out(simulation: &mut Simulation<'_>, start: DateTime<Utc>) -> DateTime<Utc> {
    for _ in 0..ROUNDS {
        let Some(last) = simulation.armed().last().map(|(_, planned)| planned.due_ms) else { break };
        simulation.advance(instant::of_ms(last));
    }
    simulation.timeline().last().map_or(start, |moment| moment.at)
}

fn absent(codes: &[String]) -> Result<HashSet<FiscalCode>, Failure> {
    let read = |code: &String| FiscalCode::parse(code);
    codes
        .iter()
        .map(read)
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::Usage(format!("--not-on-io: {error}")))
}

/// An event and when it arrives.
struct Arrival {
    body: Vec<u8>,
    /// Its `time`; none where the check will refuse it.
    time: Option<DateTime<Utc>>,
    /// Its id and its case.
    case: Option<(String, String)>,
}

impl Arrival {
    /// Takes an event of another ente as this one's, so that one file shows what each contract does.
    fn of(body: &[u8], ente: &Ente) -> Self {
        let mut body = body.to_vec();
        let Ok(mut event) = serde_json::from_slice::<Value>(&body) else {
            return Self { body, time: None, case: None };
        };
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        let case = text("id").zip(text("subject")).map(|(id, case)| (id.to_owned(), case.to_owned()));
        let time =
            text("time").and_then(|time| DateTime::parse_from_rfc3339(time).ok()).map(|at| at.to_utc());
        let other = text("ente").is_some_and(|id| id != ente.id);
        if other {
            event["ente"] = Value::from(ente.id.clone());
            body = event.to_string().into_bytes();
        }
        Self { body, time, case }
    }
}
