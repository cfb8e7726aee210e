//! A process tells that it is alive and what it is, so that `promemoria doctor` can name replicas that do not fit
//! one another.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::formats::FORMATS;
use crate::store::Redis;
use crate::store::replicas::Replica;
use crate::telemetry::{COMMIT, Process, VERSION};

/// How often it tells.
const EVERY: Duration = Duration::from_secs(10);

/// Bound on the last word.
const GOODBYE: Duration = Duration::from_secs(1);

/// A process that was not heard of for so long is not alive, milliseconds: three tellings missed, one each 10 s.
pub const SILENT_MS: i64 = 30_000;

/// One that ended without a word is forgotten after so long, milliseconds: long enough for a look at what was there
/// before a crash.
const FORGOTTEN_MS: i64 = 3_600_000;

/// Tells until `stop`, and then that it is over. `catalogue` is the digest of the process's catalogue. Failures are
/// nobody's trouble: the store's own condition of readiness says that it is away.
pub async fn tell(redis: Redis, process: Process, catalogue: String, stop: CancellationToken) {
    let replica = replica(process, catalogue);
    loop {
        if let Err(failure) = redis.tell(&replica, false).await {
            debug!(code = failure.code(), "the process could not tell that it is alive");
        }
        // The users of the others may not delete.
        if process == Process::Scheduler
            && let Err(failure) = redis.forget_replicas(FORGOTTEN_MS).await
        {
            debug!(code = failure.code(), "processes that ended are not forgotten yet");
        }
        if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            break;
        }
    }
    drop(redis.tell(&replica, true).await);
}

/// Waits, not for long, until a process that stops has said so.
pub async fn ended(telling: JoinHandle<()>) {
    if tokio::time::timeout(GOODBYE, telling).await.is_err() {
        debug!("the process could not tell that it ends");
    }
}

/// This process.
fn replica(process: Process, catalogue: String) -> Replica {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    let number: u32 = rand::random();
    let formats =
        FORMATS.into_iter().map(|it| (it.name.to_owned(), [it.oldest(), it.written(), it.newest()]));
    Replica {
        service: process.name().to_owned(),
        name: format!("{host}-{number:08x}").trim_start_matches('-').to_owned(),
        version: VERSION.to_owned(),
        commit: COMMIT.to_owned(),
        catalogue,
        formats: formats.collect(),
        at_ms: 0,
    }
}
