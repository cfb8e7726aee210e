//! What is read back from the store, whichever replica put it there: how many timers are armed, what is due
//! and not claimed, what the rest of the day asks of the IO accounts, whether journal and ledger agree.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::domain::calendar::{Calendar, Holidays};
use shared::domain::ente::Ente;
use shared::store::{CaseStore, Horizon, Register, StoreError};
use tracing::warn;

use crate::inforce::InForce;
use crate::metrics::Metrics;

/// How often the gauges are read.
const EVERY: Duration = Duration::from_secs(15);

/// Reads the gauges for ever.
pub(crate) async fn run(store: CaseStore, in_force: InForce, metrics: Arc<Metrics>) {
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let snapshot = in_force.current();
        forget(&metrics, &mut shown, |id, account| {
            snapshot.enti.ente(id).is_some_and(|ente| ente.io.account == account)
        });
        for ente in snapshot.enti.enti() {
            match read(&store, ente, &metrics).await {
                Ok(()) => drop(shown.insert(ente.id.clone(), ente.io.account.clone())),
                Err(failure) => warn!(code = failure.code(), "the schedule could not be counted"),
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Ends the series of an ente, with its account, that is no longer in force: its last instant would look like
/// work that nobody claims, for ever.
fn forget(metrics: &Metrics, shown: &mut BTreeMap<String, String>, in_force: impl Fn(&str, &str) -> bool) {
    let own = &metrics.own;
    shown.retain(|id, account| {
        let stays = in_force(id, account);
        if !stays {
            let (ente, both) = ([id.as_str()], [id.as_str(), account.as_str()]);
            // None of these is missing, and if it were, it would be gone.
            drop(own.schedule_due.remove_label_values(&both));
            drop(own.schedule_today.remove_label_values(&both));
            drop(own.schedule_day_end.remove_label_values(&both));
            drop(own.schedule_next.remove_label_values(&ente));
            drop(own.conservation_difference.remove_label_values(&ente));
            drop(own.conservation_compared.remove_label_values(&ente));
        }
        stays
    });
}

async fn read(store: &CaseStore, ente: &Ente, metrics: &Metrics) -> Result<(), StoreError> {
    show_armed(metrics, &ente.id, &store.armed(&ente.id).await?);
    // None after a loss, until the next comparison: what was shown stays.
    if let Some(compared) = Register::new(store.redis().clone()).compared(&ente.id).await? {
        metrics.compared(&ente.id, compared);
    }
    let day_end_ms = day_end_ms(ente, store.redis().now_ms().await?);
    show_horizon(metrics, ente, store.horizon(&ente.id, day_end_ms).await?, day_end_ms);
    Ok(())
}

/// The last second of the ente's day, Unix milliseconds.
fn day_end_ms(ente: &Ente, now_ms: i64) -> i64 {
    let now = DateTime::<Utc>::from_timestamp_millis(now_ms).unwrap_or_default();
    // Holidays do not move the end of a day.
    let calendar = Calendar { zone: ente.fuso, holidays: &Holidays::default(), local: &[] };
    calendar.end_of_day(calendar.date(now)).timestamp_millis()
}

fn show_armed(metrics: &Metrics, ente: &str, armed: &BTreeMap<String, i64>) {
    for (rule, count) in armed {
        metrics.own.timers_armed.with_label_values(&[ente, rule]).set((*count).max(0));
    }
}

fn show_horizon(metrics: &Metrics, ente: &Ente, horizon: Horizon, day_end_ms: i64) {
    let (own, id, account) = (&metrics.own, ente.id.as_str(), ente.io.account.as_str());
    own.schedule_due.with_label_values(&[id, account]).set(horizon.due);
    own.schedule_next.with_label_values(&[id]).set(horizon.next_ms.map_or(0, |ms| ms / 1000));
    own.schedule_today.with_label_values(&[id, account]).set(horizon.today);
    own.schedule_day_end.with_label_values(&[id, account]).set(day_end_ms / 1000);
    own.rate_limit_calls.with_label_values(&[account]).set(i64::from(ente.io.calls_per_5s));
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use shared::telemetry::Known;
    use shared::telemetry::metrics::KnownEnte;

    use super::*;

    #[test]
    fn an_ente_that_is_gone_has_no_series() {
        let ente =
            |id: &str| KnownEnte { id: id.to_owned(), account: "unione".to_owned(), ..KnownEnte::default() };
        let registry = Registry::new();
        let known = Known { enti: vec![ente("rocca"), ente("borgo")] };
        let metrics = Metrics::register(&registry, &known).unwrap();
        let mut shown = ["rocca", "borgo"].map(|id| (id.to_owned(), "unione".to_owned())).into();
        forget(&metrics, &mut shown, |id, _| id == "rocca");
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains(r#"promemoria_schedule_next_timestamp_seconds{ente="rocca"} 0"#), "{text}");
        let schedule = text.lines().filter(|line| line.starts_with("promemoria_schedule_"));
        assert!(schedule.into_iter().all(|line| !line.contains("borgo")), "{text}");
        assert_eq!(shown.len(), 1);
    }
}
