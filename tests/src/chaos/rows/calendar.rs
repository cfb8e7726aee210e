//! F46: the days on which the clock changes, 29 February and the end of the year, on the fleet in virtual time.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::life::lasts;
use crate::chaos::checker::{Bounds, CANARIES};
use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Row, Seen};
use crate::chaos::trial::{Setup, Trial};

/// Ends of permits, and the instants of the reminders that `deploy/config/enti` sends 30 days before, at 09:00 in
/// Rome: an hour later in UTC from the last Sunday of October, an hour earlier from that of March.
const DAYS: [(&str, &str, &str); 8] = [
    ("the day before summer time", "2027-04-26", "2027-03-27T08:00:00Z"),
    ("the day on which summer time begins", "2027-04-27", "2027-03-28T07:00:00Z"),
    ("the day before summer time ends", "2027-11-29", "2027-10-30T07:00:00Z"),
    ("the day on which summer time ends", "2027-11-30", "2027-10-31T08:00:00Z"),
    ("the last day of the year", "2028-01-30", "2027-12-31T08:00:00Z"),
    ("the first day of the year", "2028-01-31", "2028-01-01T08:00:00Z"),
    ("29 February", "2028-03-30", "2028-02-29T08:00:00Z"),
    ("a permit that ends on 29 February", "2028-02-29", "2028-01-30T08:00:00Z"),
];

/// Reminders of a permit: 90, 60 and 30 days before its end.
const REMINDERS: usize = 3;

/// How long the fleet is given to send too early: twenty of a trial's polls.
const TEMPTED: Duration = Duration::from_secs(2);

/// The row.
pub(in crate::chaos) fn rows() -> Vec<Row> {
    vec![Row::quick(
        "F46",
        [
            "the days of the clock change, 29 February, the end of the year",
            "eight permits with a reminder on such a day; the fleet's clock is set to a minute before 09:00 in Rome, then to 09:00",
            "nothing a minute before, the reminder at 09:00 local time",
        ],
        days,
    )]
}

async fn days(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    for (number, (_, end, _)) in DAYS.iter().enumerate() {
        let permit = json!({ "codice_fiscale": CANARIES[0], "tipo_permesso": "O", "data_scadenza": end });
        trial.say("permesso.registrato", &format!("P-{number}"), permit).await?;
    }
    let armed = DAYS.len() * REMINDERS;
    trial.until("the reminders are armed", |book| book.count("messaggio.programmato") == armed).await?;
    let mut days: Vec<(&str, DateTime<Utc>)> = Vec::new();
    for (what, _, at) in DAYS {
        days.push((what, at.parse().context("an instant")?));
    }
    days.sort_by_key(|(_, at)| *at);
    for (what, at) in days {
        trial.set_clock(at - TimeDelta::minutes(1)).await?;
        trial.wait_quiet().await?;
        lasts(TEMPTED).await;
        let before = trial.created().await?;
        let due = trial.due().await?;
        trial.set_clock(at).await?;
        // Reminders of other permits, 60 and 90 days before their ends, may share the instant.
        trial
            .wait_for(what, async |trial: &Trial| Ok(trial.due().await? < due))
            .await
            .with_context(|| format!("{what}: the reminder did not go at 09:00"))?;
        trial.wait_quiet().await?;
        let (sent, left) = (trial.created().await? - before, trial.due().await?);
        ensure!(
            left + sent == due,
            "{what}: {due} were armed a minute before, {left} after {sent} were sent"
        );
    }
    let created = trial.created().await?;
    trial.until("each is told", |book| book.count("messaggio.inviato") == created).await?;
    trial.close_uncounted(Bounds::default()).await?;
    Ok(Seen {
        words: format!("{} reminders at 09:00 in Rome, none a minute before", DAYS.len()),
        report: None,
    })
}
