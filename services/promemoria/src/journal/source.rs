//! Where a command reads the journal from: the streams up to now, or an archive.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use shared::journal::{Counts, Lanes, Line, ReadError, Reading, Replay, barrier};
use shared::service;
use shared::store::{Books, Redis};

use super::archive;
use super::progress::Progress;
use super::replay_failed;
use crate::connect;
use crate::report::Failure;
use crate::setup::Setup;

/// The name that the broker shows.
const NAME: &str = "promemoria";

/// A journal that is read line by line.
pub(crate) struct Source {
    reading: Reading,
    progress: Progress,
}

impl Source {
    /// Opens an archive, or the streams up to what was confirmed by now.
    pub(crate) async fn open(setup: &Setup, from: Option<&Path>) -> Result<Self, Failure> {
        let reading = match from {
            Some(path) => {
                let failed = |error| Failure::fault(format!("--from: {}: {error}", path.display()));
                let (file, bytes) = archive::open(path).map_err(failed)?;
                Reading::archive(BufReader::new(file), bytes)
            }
            None => streams(setup).await?,
        };
        Ok(Self { reading, progress: Progress::new() })
    }

    /// The next line; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, Failure> {
        let next = self.reading.next().await.map_err(|error| failed(&error))?;
        self.progress.show(|| self.reading.position(), next.is_none());
        Ok(next)
    }

    /// Replays all of it into books.
    pub(super) async fn replay<B: Books + Clone + 'static>(
        mut self,
        setup: &Setup,
        books: B,
        (redis, enti): (&Redis, &[String]),
    ) -> Result<BTreeMap<String, Counts>, Failure> {
        let now_ms = redis.now_ms().await.map_err(|error| connect::redis_away(&error))?;
        let in_force = (Arc::clone(&setup.catalogue), Arc::clone(&setup.enti));
        let replay =
            Replay::new(books, in_force, (&setup.settings, setup.hash()), now_ms).only(enti.iter().cloned());
        let mut lanes = Lanes::new(replay);
        while let Some(line) = self.next().await? {
            lanes.line(line).await.map_err(|error| replay_failed(&error))?;
        }
        self.reading.close().await;
        lanes.finish().await.map_err(|error| replay_failed(&error))
    }

    /// Ends it.
    pub(crate) async fn close(self) {
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
        ReadError::Foreign(foreign) => {
            Failure::fault(format!("{foreign}; use the command line of that release"))
        }
        ReadError::File(_) | ReadError::Archive { .. } => Failure::fault(format!("--from: {error}")),
    }
}
