//! The run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use shared::clock::Clock;
use tokio::time::{Instant, sleep};

use super::CONCURRENCY;
use super::fault::{Fault, Roll, subset};
use super::inject::{Scene, inject};
use super::record::Soak;
use super::rest::rest;
use super::tally::Tally;
use crate::brokers::{Brokers, Options, Server};
use crate::chaos::checker::Bounds;
use crate::chaos::dice::Dice;
use crate::chaos::ground::Ground;
use crate::chaos::result::Report;
use crate::chaos::run::say;
use crate::chaos::trial::{Setup, Trial};
use crate::fleet::Binaries;

/// Most faults between two rests: each may come before the one before is recovered from.
const UNRESTED: usize = 5;
/// Rests from one comparison of journal and ledger to the next: it reads all of the journal.
const AUDITS: usize = 4;
/// A late answer is recorded within this, and may close a doubt: the longest pause of a dispatcher that asks its store
/// again.
const LATE: Duration = Duration::from_secs(6);

/// Runs the mix; the same seed chooses the same faults in the same order.
///
/// # Errors
/// An invariant that broke, with the seed, the last faults and where the logs are.
pub async fn soak(binaries: &Binaries, seed: u64, minutes: u64) -> anyhow::Result<Soak> {
    let brokers = Arc::new(Brokers::start(&Options::from_env()?).await?);
    let versions = brokers.versions();
    let named = format!("{} and {}", versions.0, versions.1);
    let ground = Ground::lane(&brokers, binaries, 0).await?;
    let mut dice = Dice::new(seed);
    let kinds = subset(&mut dice);
    say(&format!("soak: {} kinds: {kinds:?}", kinds.len()));
    let mut mix = Mix { tally: Tally::default(), found: 0, allowed: 0, dice, kinds };
    let ended = mix.run(&ground, minutes).await.with_context(|| format!("seed {seed}"));
    let stopped = brokers.shutdown().await;
    // What broke says more than brokers that do not end.
    let (tally, report) = (mix.tally, ended?);
    stopped?;
    Ok(Soak {
        seed,
        minutes,
        day: Clock::system().now().format("%Y-%m-%d").to_string(),
        brokers: named,
        kinds: mix.kinds.len(),
        faults: tally.hits(),
        rests: tally.rests,
        slowest_s: tally.slowest.as_secs(),
        largest: tally.largest,
        report,
    })
}

/// A run.
struct Mix {
    tally: Tally,
    /// Doubts that were there at the last rest, and those that were allowed by then.
    found: usize,
    allowed: usize,
    dice: Dice,
    kinds: Vec<Fault>,
}

impl Mix {
    async fn run(&mut self, ground: &Ground, minutes: u64) -> anyhow::Result<Report> {
        let mut scene = self.begin(ground).await?;
        let logs = scene.trial.crew.keep_logs();
        let end = Instant::now() + Duration::from_secs(minutes * 60);
        let ended = self.until(&mut scene, end).await;
        let last_words = scene.trial.crew.last_words();
        let report = match ended {
            Ok(()) => scene.trial.close(self.bounds()).await,
            Err(error) => Err(error),
        };
        let report = report.with_context(|| {
            let place = self.tally.place();
            format!("{place}\nlogs: {}\nlast words:\n{last_words}\nwhat broke", logs.display())
        })?;
        std::fs::remove_dir_all(logs)?;
        Ok(report)
    }

    async fn begin(&self, ground: &Ground) -> anyhow::Result<Scene> {
        let concurrency = CONCURRENCY.to_string();
        let setup = Setup::default().with("IO__CONCURRENCY", &concurrency);
        let mut trial = Trial::start(ground, setup.through("amqp").through("redis").through("io")).await?;
        // Events that were in hand at two ends wait until their service has been ready for 30 s.
        trial.patient(2);
        // As in F21: in production the queues are old.
        ground.brokers.restart(Server::RabbitMq).await?;
        trial.crew.wait_ready().await?;
        Ok(Scene { trial, has_young_queue: false })
    }

    /// One fault after the other, until then; everything is over at the end.
    async fn until(&mut self, scene: &mut Scene, end: Instant) -> anyhow::Result<()> {
        let mut unrested = 0;
        while Instant::now() < end {
            let roll = Roll::next(&mut self.dice, &self.kinds);
            let (now, events) = (Clock::system().now().format("%T"), scene.trial.book.attempted.len());
            say(&format!("{now} {} after {events} events", self.tally.begins(&roll)));
            let before = scene.trial.cable("io")?.cut_answers();
            inject(scene, &roll).await?;
            self.tally.ended(&roll, scene.trial.cable("io")?.cut_answers() - before);
            self.tally.weigh(&scene.trial.crew.sizes())?;
            unrested += 1;
            sleep(roll.pause).await;
            if roll.rests || unrested == UNRESTED {
                self.rest(scene).await?;
                unrested = 0;
            }
        }
        sleep(LATE).await;
        self.rest(scene).await
    }

    /// Everything comes to its end, within what the faults since the last rest allow.
    async fn rest(&mut self, scene: &mut Scene) -> anyhow::Result<()> {
        let allowed = self.tally.doubts();
        let doubts = self.found + allowed - self.allowed;
        let took = rest(&mut scene.trial, Bounds { doubts, ..Bounds::default() }).await?;
        (self.found, self.allowed) = (scene.trial.book.ended("messaggio.in-dubbio"), allowed);
        self.tally.rested(took);
        say(&format!("         at rest after {:.1} s, {} in doubt", took.as_secs_f64(), self.found));
        if self.tally.rests.is_multiple_of(AUDITS) {
            scene.trial.agree().await?;
        }
        Ok(())
    }

    fn bounds(&self) -> Bounds {
        Bounds { doubts: self.tally.doubts(), panics: self.tally.panics(), ..Bounds::default() }
    }
}
