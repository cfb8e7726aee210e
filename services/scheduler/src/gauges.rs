//! `promemoria_timers_armed`, read back from the store: whichever replica armed them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use shared::store::CaseStore;
use tracing::warn;

use crate::inforce::InForce;
use crate::metrics::Metrics;

/// How often the gauges are read.
const EVERY: Duration = Duration::from_secs(15);

/// Reads the gauges for ever.
pub(crate) async fn run(store: CaseStore, in_force: InForce, metrics: Arc<Metrics>) {
    let mut shown: HashSet<(String, String)> = HashSet::new();
    loop {
        let snapshot = in_force.current();
        for ente in snapshot.enti.enti() {
            match store.armed(&ente.id).await {
                Ok(armed) => show(&metrics, &ente.id, &armed, &mut shown),
                Err(failure) => warn!(code = failure.code(), "armed timers could not be counted"),
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn show(metrics: &Metrics, ente: &str, armed: &BTreeMap<String, i64>, shown: &mut HashSet<(String, String)>) {
    for (rule, count) in armed {
        metrics.own.timers_armed.with_label_values(&[ente, rule]).set((*count).max(0));
        shown.insert((ente.to_owned(), rule.clone()));
    }
}
