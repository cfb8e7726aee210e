//! Where a command reads the journal from: the streams up to now, or an archive; and a line on the terminal
//! that tells how far it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use shared::journal::{Counts, Line, ReadError, Reading, Replay, barrier};
use shared::service;
use shared::store::{Books, Redis};

use super::replay_failed;
use crate::connect;
use crate::report::Failure;
use crate::setup::Setup;

/// The name that the broker shows.
const NAME: &str = "promemoria";
/// How often the terminal's line changes.
const REFRESH: Duration = Duration::from_millis(200);

/// A journal that is read line by line.
pub(super) struct Source {
    reading: Reading,
    progress: Progress,
}

impl Source {
    /// Opens an archive, or the streams up to what was confirmed by now.
    pub(super) async fn open(setup: &Setup, archive: Option<&Path>) -> Result<Self, Failure> {
        let reading = match archive {
            Some(path) => {
                let file = File::open(path)
                    .map_err(|error| Failure::fault(format!("--from: {}: {error}", path.display())))?;
                Reading::archive(BufReader::new(file))
            }
            None => streams(setup).await?,
        };
        Ok(Self { reading, progress: Progress::new() })
    }

    /// The next line; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, Failure> {
        let next = self.reading.next().await.map_err(|error| failed(&error))?;
        self.progress.show(self.reading.lines(), next.is_none());
        Ok(next)
    }

    /// Replays all of it into books.
    pub(super) async fn replay<B: Books>(
        mut self,
        setup: &Setup,
        books: B,
        (redis, enti): (&Redis, &[String]),
    ) -> Result<BTreeMap<String, Counts>, Failure> {
        let now_ms = redis.now_ms().await.map_err(|error| connect::redis_away(&error))?;
        let in_force = (&*setup.catalogue, &*setup.enti);
        let mut replay =
            Replay::new(books, in_force, (&setup.settings, setup.hash()), now_ms).only(enti.iter().cloned());
        while let Some(line) = self.next().await? {
            replay.line(&line).await.map_err(|error| replay_failed(&error))?;
        }
        self.reading.close().await;
        replay.finish().await.map_err(|error| replay_failed(&error))
    }

    /// Ends it.
    pub(super) async fn close(self) {
        self.reading.close().await;
    }
}

async fn streams(setup: &Setup) -> Result<Reading, Failure> {
    let broker = connect::broker(&setup.settings).await?;
    let marked = barrier(&broker.publisher()).await;
    broker.close().await;
    let end = marked.map_err(|error| connect::broker_away(&error))?;
    let options = service::broker_options(&setup.settings, NAME);
    Reading::streams(&options, None, end).await.map_err(|error| failed(&error))
}

fn failed(error: &ReadError) -> Failure {
    match error {
        ReadError::Broker(error) => connect::broker_away(error),
        ReadError::File(_) | ReadError::Archive { .. } => Failure::fault(format!("--from: {error}")),
    }
}

/// Tells on the terminal how far it is; says nothing where nobody looks.
struct Progress {
    began: Instant,
    shown: Option<Instant>,
}

impl Progress {
    fn new() -> Self {
        Self { began: Instant::now(), shown: std::io::stderr().is_terminal().then(Instant::now) }
    }

    fn show(&mut self, lines: u64, is_end: bool) {
        let Some(shown) = self.shown else { return };
        if !is_end && shown.elapsed() < REFRESH {
            return;
        }
        self.shown = Some(Instant::now());
        let seconds = self.began.elapsed().as_secs().max(1);
        let end = if is_end { "\n" } else { "" };
        let mut err = std::io::stderr().lock();
        // A terminal that went away is no fault.
        drop(write!(err, "\rjournal: {lines} lines, {} a second {end}", lines / seconds));
        drop(err.flush());
    }
}
