//! A replay in many lanes at once: lines of one case one after the other, of different cases beside each other.
//!
//! A store answers many questions in the time that one takes to travel. What counts in every case of a person
//! has the road to itself, so that each case meets it where it met it first.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::line::{Entry, Line};
use super::replay::{Counts, Replay, ReplayError};
use crate::domain::FiscalCode;
use crate::domain::plan::case_id;
use crate::store::Books;
use crate::store::keys::{CaseId, parse_case};

/// How many lanes: enough to hide a store's round trips.
const LANES: usize = 64;
/// Lines that wait in a lane.
const WAITING: usize = 32;

/// A replay in lanes. Dropped before its end it stops where it is, which does no harm.
pub struct Lanes<B> {
    /// For what the lines are sorted by.
    replay: Replay<B>,
    open: Vec<mpsc::Sender<Work>>,
    tasks: JoinSet<Result<BTreeMap<String, Counts>, ReplayError>>,
    /// The case to which a recipient's share belongs.
    shares: HashMap<CaseId, CaseId>,
}

enum Work {
    Line(Box<Line>),
    /// Answered when all before it is done.
    Pause(oneshot::Sender<()>),
}

/// What of an event tells the lane.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    tipo: Cow<'a, str>,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(borrow)]
    servizio: Cow<'a, str>,
    #[serde(default, borrow)]
    data: Recipients<'a>,
}

#[derive(Default, Deserialize)]
struct Recipients<'a> {
    #[serde(default, borrow)]
    destinatari: Vec<Cow<'a, str>>,
}

impl<B: Books + Clone + 'static> Lanes<B> {
    /// Opens the lanes of a replay that has read nothing yet.
    #[must_use]
    pub fn new(replay: Replay<B>) -> Self {
        let mut tasks = JoinSet::new();
        let open = (0..LANES).map(|_| {
            let (sender, receiver) = mpsc::channel(WAITING);
            tasks.spawn(lane(replay.clone(), receiver));
            sender
        });
        let open = open.collect();
        Self { replay, open, tasks, shares: HashMap::new() }
    }

    /// Takes one line, as [`Replay::line`] does; it is done some time later.
    pub async fn line(&mut self, line: Line) -> Result<(), ReplayError> {
        let (case, alone) = self.place(&line);
        let index = usize::from(u16::from_be_bytes([case[0], case[1]])) % LANES;
        if alone {
            self.pause().await?;
        }
        let sent = self.open[index].send(Work::Line(Box::new(line))).await;
        if sent.is_err() {
            return Err(self.failure().await);
        }
        if alone { self.pause().await } else { Ok(()) }
    }

    /// Ends it, when all lanes are empty.
    pub async fn finish(mut self) -> Result<BTreeMap<String, Counts>, ReplayError> {
        self.open.clear();
        let mut all: BTreeMap<String, Counts> = BTreeMap::new();
        while let Some(ended) = self.tasks.join_next().await {
            for (ente, counts) in ended.map_err(|_| ReplayError::Panicked)?? {
                all.entry(ente).or_default().add(counts);
            }
        }
        Ok(all)
    }

    /// Waits until the lanes are empty.
    async fn pause(&mut self) -> Result<(), ReplayError> {
        let mut answers = Vec::with_capacity(LANES);
        for lane in &self.open {
            let (sender, answer) = oneshot::channel();
            // A lane that ended drops the question, which is found below.
            drop(lane.send(Work::Pause(sender)).await);
            answers.push(answer);
        }
        for answer in answers {
            if answer.await.is_err() {
                return Err(self.failure().await);
            }
        }
        Ok(())
    }

    /// Why a lane ended.
    async fn failure(&mut self) -> ReplayError {
        while let Some(ended) = self.tasks.join_next().await {
            if let Ok(Err(failure)) = ended {
                return failure;
            }
            if ended.is_err() {
                break;
            }
        }
        ReplayError::Panicked
    }

    /// The case by which a line finds its lane, and whether nothing may be beside it.
    fn place(&mut self, line: &Line) -> (CaseId, bool) {
        match &line.entry {
            Entry::Taken => self.of_event(&line.record.body),
            Entry::Told(told) => (case_id(&told.servizio, &told.pratica, None), false),
            Entry::Intent(intent) => {
                let case = parse_case(&intent.caso).unwrap_or_default();
                (self.shares.get(&case).copied().unwrap_or(case), false)
            }
            Entry::Nothing => ([0; 12], false),
        }
    }

    fn of_event(&mut self, body: &str) -> (CaseId, bool) {
        let Ok(head) = serde_json::from_str::<Head<'_>>(body) else { return ([0; 12], false) };
        let own = case_id(&head.servizio, &head.subject, None);
        let (catalogue, hash) = self.replay.planned_with();
        let service = catalogue.servizio(&head.servizio);
        let is_alone = service
            .and_then(|service| service.eventi.get(&*head.tipo))
            .is_some_and(|tipo| tipo.persona.is_some());
        for code in &head.data.destinatari {
            let Ok(code) = FiscalCode::parse(code) else { continue };
            let share = case_id(&head.servizio, &head.subject, Some(&hash.of(&code)));
            self.shares.insert(share, own);
        }
        (own, is_alone)
    }
}

async fn lane<B: Books>(
    mut replay: Replay<B>,
    mut work: mpsc::Receiver<Work>,
) -> Result<BTreeMap<String, Counts>, ReplayError> {
    while let Some(work) = work.recv().await {
        match work {
            Work::Line(line) => replay.line(&line).await?,
            // Whoever asked may have gone away.
            Work::Pause(answer) => drop(answer.send(())),
        }
    }
    replay.finish().await
}
