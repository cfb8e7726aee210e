//! What `promemoria audit` and `promemoria rebuild` do, for tests: a fleet's journal is read up to now and held
//! against its ledger, or replayed into it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use shared::broker::RabbitMq;
use shared::domain::catalogue::Catalogue;
use shared::journal::{Comparison, Counts, Lanes, Reading, Replay, barrier, compare, gaps, mend};
use shared::service;
use shared::settings::{Registry, Settings};
use shared::store::inspect::Inspector;
use shared::store::keys::CaseId;
use shared::store::{Books, CaseStore, MemoryBooks, Redis};

/// The journal of a fleet up to now, and what it is replayed with.
pub struct Journal {
    settings: Settings,
    catalogue: Arc<Catalogue>,
    enti: Arc<Registry>,
    redis: Redis,
    reading: Reading,
}

impl Journal {
    /// The journal of the fleet that has this settings file; `variables` win over the file.
    ///
    /// # Errors
    /// The settings have faults, or a broker does not answer.
    pub async fn open(config: &Path, variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Settings::load(Some(config), variables);
        let settings = settings.map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        let (catalogue, live) = service::in_force(&settings)?;
        let options = service::broker_options(&settings, "test");
        let broker = RabbitMq::start(options.clone())?;
        let end = barrier(&broker.publisher()).await?;
        broker.close().await;
        let reading = Reading::streams(&options, None, end).await?;
        let redis = Redis::connect(&service::redis_options(&settings)).await?;
        Ok(Self { settings, catalogue, enti: live.current(), redis, reading })
    }

    /// Replays this many lines into books.
    async fn replay<B: Books + Clone + 'static>(
        &mut self,
        books: B,
        lines: usize,
    ) -> anyhow::Result<BTreeMap<String, Counts>> {
        let with = (&self.settings, service::recipient_hash(&self.settings));
        let now_ms = self.redis.now_ms().await?;
        let in_force = (Arc::clone(&self.catalogue), Arc::clone(&self.enti));
        let mut running = Lanes::new(Replay::new(books, in_force, with, now_ms));
        for _ in 0..lines {
            let Some(line) = self.reading.next().await? else { return Ok(running.finish().await?) };
            running.line(line).await?;
        }
        // Killed here: what is in the lanes is dropped wherever it stands.
        Ok(BTreeMap::new())
    }

    /// Replays all of it into books.
    ///
    /// # Errors
    /// A broker does not answer, or a line cannot be read.
    pub async fn replay_into<B: Books + Clone + 'static>(
        mut self,
        books: B,
    ) -> anyhow::Result<BTreeMap<String, Counts>> {
        let counts = self.replay(books, usize::MAX).await?;
        self.reading.close().await;
        Ok(counts)
    }

    /// Replays this many lines into Redis.
    ///
    /// # Errors
    /// A broker does not answer, or a line cannot be read.
    pub async fn rebuild(mut self, lines: usize) -> anyhow::Result<()> {
        let store = CaseStore::new(self.redis.clone());
        self.replay(store, lines).await?;
        if lines == usize::MAX {
            let inspector = Inspector::new(self.redis.clone());
            for ente in self.enti.enti() {
                mend(&self.redis, &ente.id, &inspector.cases(&ente.id).await?).await?;
            }
        }
        self.reading.close().await;
        Ok(())
    }

    /// Compares journal and ledger of every ente.
    ///
    /// # Errors
    /// A broker does not answer, or the journal has a line that is not understood.
    pub async fn audit(mut self) -> anyhow::Result<BTreeMap<String, Comparison>> {
        let books = MemoryBooks::new(self.redis.now_ms().await?);
        let counts = self.replay(books.clone(), usize::MAX).await?;
        let store = CaseStore::new(self.redis.clone());
        let mut all = BTreeMap::new();
        for ente in self.enti.enti() {
            let counts = counts.get(&ente.id).copied().unwrap_or_default();
            let cases: Vec<CaseId> = books.cases(&ente.id);
            let mut comparison = compare(&ente.id, (&books, &store), &cases).await?;
            if counts.unplanned > 0 || counts.refused > 0 {
                let known = Inspector::new(self.redis.clone()).cases(&ente.id).await?;
                let unknown: Vec<CaseId> = known.into_iter().filter(|case| !cases.contains(case)).collect();
                let extra = compare(&ente.id, (&books, &store), &unknown).await?.differences;
                bail!("{}: {counts:?}; the ledger has more: {extra:?}", ente.id);
            }
            comparison.differences.extend(gaps(&self.redis, &ente.id, &cases).await?);
            all.insert(ente.id.clone(), comparison);
        }
        self.reading.close().await;
        Ok(all)
    }
}
