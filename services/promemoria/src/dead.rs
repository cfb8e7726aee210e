//! `dead`: what was given up, and what an operator decides on it.

mod letter;
mod walk;

use serde_json::{Value, json};
use shared::broker::{Outgoing, Publisher, topology};

use crate::cli::{Dead, Which};
use crate::connect;
use crate::report::{Failure, Report, counted, push};
use crate::setup::Setup;
use letter::Letter;
use walk::{Verdict, walk};

/// Runs one of the four.
pub(crate) async fn run(setup: &Setup, action: &Dead) -> Result<Report, Failure> {
    match action {
        Dead::List { code, limit } => list(setup, code.as_deref(), *limit).await,
        Dead::Show { which, body } => show(setup, which, *body).await,
        Dead::Requeue(which) => requeue(setup, which).await,
        Dead::Drop(which) => drop_chosen(setup, which).await,
    }
}

async fn list(setup: &Setup, code: Option<&str>, limit: u32) -> Result<Report, Failure> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut letters: Vec<Letter> = Vec::new();
    let total = walk(setup, async |place, delivery| {
        let letter = Letter::read(place, delivery);
        if code.is_none_or(|code| letter.code == code) {
            letters.push(letter);
        }
        Ok(if letters.len() < limit { Verdict::Keep } else { Verdict::Stop })
    })
    .await?;
    let mut text: String = letters.iter().map(Letter::line).collect();
    let last = match total {
        0 => "nothing was given up\n".to_owned(),
        _ => format!("{} of {} in {}\n", letters.len(), counted(total, "message"), topology::DEAD_QUEUE),
    };
    text.push_str(&last);
    let json = json!({ "total": total, "messages": letters.iter().map(Letter::json).collect::<Value>() });
    Ok(Report::with_findings(text, json, total > 0))
}

async fn show(setup: &Setup, which: &str, with_body: bool) -> Result<Report, Failure> {
    let mut found = None;
    walk(setup, async |place, delivery| {
        let letter = Letter::read(place, delivery);
        if !(letter.is(which) || which.parse() == Ok(place)) {
            return Ok(Verdict::Keep);
        }
        let body = with_body.then(|| crate::shown::shown_lines(&String::from_utf8_lossy(&delivery.body)));
        found = Some((letter, body));
        Ok(Verdict::Stop)
    })
    .await?;
    let Some((letter, body)) = found else { return Err(not_there()) };
    let mut text = letter.sheet();
    let mut json = letter.json();
    if let Some(body) = body {
        push(&mut text, format_args!("\n{body}\n"));
        json["body"] = Value::from(body);
    }
    Ok(Report::good(text, json))
}

async fn requeue(setup: &Setup, which: &Which) -> Result<Report, Failure> {
    let broker = connect::broker(&setup.settings).await?;
    let publisher = broker.publisher();
    let (mut done, mut left) = (Vec::new(), Vec::new());
    let walked = walk(setup, async |place, delivery| {
        let letter = Letter::read(place, delivery);
        if !letter.is_chosen(which) {
            return Ok(Verdict::Keep);
        }
        let Some(key) = letter.event_key.clone() else {
            left.push(letter.key);
            return Ok(Verdict::Keep);
        };
        publisher.publish(again(delivery, &key)).await.map_err(|error| connect::broker_away(&error))?;
        done.push(letter.key);
        Ok(Verdict::Take)
    })
    .await;
    broker.close().await;
    walked?;
    if done.is_empty() && left.is_empty() && !which.all {
        return Err(not_there());
    }
    let mut text = format!("{} published again\n", counted(done.len(), "event"));
    for key in &left {
        push(
            &mut text,
            format_args!(
                "{key}: left where it is: it is no case event; its end was told, publish the event with a new id\n"
            ),
        );
    }
    Ok(Report::with_findings(text, json!({ "requeued": done, "left": left }), !left.is_empty()))
}

async fn drop_chosen(setup: &Setup, which: &Which) -> Result<Report, Failure> {
    let mut done = Vec::new();
    walk(setup, async |place, delivery| {
        let letter = Letter::read(place, delivery);
        let is_chosen = letter.is_chosen(which);
        if is_chosen {
            done.push(letter.key);
        }
        Ok(if is_chosen { Verdict::Take } else { Verdict::Keep })
    })
    .await?;
    if done.is_empty() && !which.all {
        return Err(not_there());
    }
    Ok(Report::good(format!("{} dropped", counted(done.len(), "message")), json!({ "dropped": done })))
}

/// The event as it first came: body, routing key, identity, content type, trace context.
fn again(delivery: &shared::broker::Delivery, key: &str) -> Outgoing {
    let id = delivery.message_id().unwrap_or_default();
    let mut message = Outgoing::new(topology::EVENTS, key, id, delivery.body.clone());
    delivery.content_type().unwrap_or_default().clone_into(&mut message.content_type);
    match delivery.header("traceparent") {
        Some(parent) => message.with_header("traceparent", parent),
        None => message,
    }
}

fn not_there() -> Failure {
    Failure::fault(format!("no such message in {}; `promemoria dead list` lists them", topology::DEAD_QUEUE))
}
