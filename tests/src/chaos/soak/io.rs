//! Faults of IO, and events that come more than once.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fault::Roll;
use super::inject::DURING;
use crate::chaos::proxy::{Cable, End};
use crate::chaos::trial::Trial;

/// Has the sandbox do that to the next submits; `more` is what else the fault says.
pub(super) async fn submit(trial: &mut Trial, kind: &str, more: &Value) -> anyhow::Result<()> {
    let mut fault = more.clone();
    fault["kind"] = kind.into();
    fault["operation"] = "submit".into();
    trial.io_fault(&fault).await?;
    trial.publish(DURING).await.map(drop)
}

/// Cuts answers until one was: those that come at the same time may be cut too, and the cable counts them.
pub(super) async fn cut_an_answer(trial: &mut Trial, end: End) -> anyhow::Result<()> {
    let before = trial.cable("io")?.cut_answers();
    trial.cable("io")?.set(Cable::EndAnswerAfter(0, end));
    let published = trial.publish(DURING).await;
    let cut = trial
        .wait_for("an answer of IO is cut", async |trial: &Trial| {
            Ok(trial.cable("io")?.cut_answers() > before)
        })
        .await;
    trial.cable("io")?.mend();
    published.and(cut)
}

/// An event that was sent comes twice more, then with another content: that one is refused.
pub(super) async fn repeat(trial: &mut Trial, roll: &Roll) -> anyhow::Result<()> {
    let told = |tipo: &str| -> BTreeSet<&str> {
        let of_type = trial.book.outcomes.iter().filter(|it| it["type"] == tipo);
        of_type.filter_map(|it| it["data"]["evento"].as_str()).collect()
    };
    let (sent, refused) = (told("messaggio.inviato"), told("evento.rifiutato"));
    // A second conflict of one event is told with the id of the first.
    let fresh: Vec<&&str> = sent.difference(&refused).collect();
    let number = fresh.get(roll.number % fresh.len().max(1)).and_then(|event| event.get(4..)?.parse().ok());
    let Some(number) = number else { return Ok(()) };
    for _ in 0..2 {
        trial.publish_again(number..number + 1, "").await?;
    }
    let before = trial.book.count("evento.rifiutato");
    trial.publish_again(number..number + 1, "altro").await?;
    trial.until("the conflict is told", |book| book.count("evento.rifiutato") == before + 1).await
}
