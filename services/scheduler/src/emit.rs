//! Emitting what is due: claim it, decide, publish, and leave the lease to whoever settles it.

mod look;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use shared::arrival::context;
use shared::broker::{Outgoing, Publisher, topology};
use shared::crash_point;
use shared::domain::case::{Case, Motivo, Planned};
use shared::domain::catalogue::{Catalogue, InDubbio, Ruling};
use shared::domain::ente::Ente;
use shared::domain::event::RefusalCode;
use shared::domain::plan::{Context, Due, fire};
use shared::formats;
use shared::outbox::Outbox;
use shared::store::inspect::{DROPPED, EXPIRED};
use shared::store::keys::Kind;
use shared::store::{CaseStore, Claimed, StoreError};
use shared::take::Taker;
use shared::trace::{Cause, Place, Traces};
use shared::wire::telling::{assumed, given_up, in_doubt, message_ref, not_sent, office};
use shared::wire::{self, Body, FollowRequest, MessageRef, Outcome, RecipientHash, RenderRequest};
use tracing::{error, warn};

use crate::metrics::Metrics;
use crate::stranded::{self, Stranded};

/// How many entries of an ente may be on their way to IO, and how they are claimed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claiming {
    /// Most entries in one claim.
    pub(crate) limit: usize,
    /// How long a claim holds, milliseconds.
    pub(crate) lease_ms: i64,
    /// Most entries of one account in flight where the account has no limit.
    pub(crate) in_flight: usize,
}

/// What came of looking at an ente's schedule once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emitted {
    /// Entries claimed.
    pub(crate) count: usize,
    /// Entries that were in flight before.
    pub(crate) in_flight: u64,
    /// The store's clock, Unix milliseconds.
    pub(crate) now_ms: i64,
}

impl Emitted {
    /// Whether the ente has something under way.
    pub(crate) fn is_active(self) -> bool {
        self.count > 0 || self.in_flight > 0
    }
}

/// Why a message is in doubt whose dispatcher did not come back.
const LEASE_ENDED: &str = "lease-ended";

/// Ages of a sent message at which its status is asked for, milliseconds: the number of those past is the
/// number of the asking.
const ASKING_MS: [i64; 6] = [5_000, 35_000, 155_000, 755_000, 4_355_000, 25_955_000];

/// Emits the due work of one ente at a time.
#[derive(Clone)]
pub(crate) struct Emitter<P> {
    pub(crate) taker: Taker<CaseStore>,
    pub(crate) outbox: Outbox<P>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) traces: Traces,
    pub(crate) claiming: Claiming,
    /// Policy for unknown outcomes unless message type or ente say otherwise, and how long `resend` waits.
    pub(crate) in_doubt: InDubbio,
    pub(crate) resend_after_ms: i64,
}

/// What is to be done with the lease of an entry once its messages are confirmed.
enum After {
    /// The dispatcher settles it.
    Nothing,
    /// It is over; what the store remembers of it.
    Finish(String),
    /// It is no longer in flight.
    Done,
    /// It is in doubt; what happens to it, and after how many milliseconds.
    Rule(Ruling, i64),
    /// It goes back into the schedule, to come again after so many milliseconds.
    Back(i64),
}

/// What an entry leads to.
struct Step {
    entry: Claimed,
    work: Option<Outgoing>,
    outcomes: Vec<Outcome>,
    after: After,
}

impl<P: Publisher> Emitter<P> {
    fn store(&self) -> &CaseStore {
        &self.taker.store
    }

    fn hash(&self) -> &RecipientHash {
        &self.taker.hash
    }

    /// Claims and emits once, as [`CaseStore::claim`] has it for the most in flight and our clock.
    pub(crate) async fn emit(
        &self,
        catalogue: &Catalogue,
        ente: &Ente,
        most: (usize, Option<i64>),
    ) -> Result<Emitted, StoreError> {
        let (claiming, begun) = (self.claiming, Instant::now());
        let claim = self.store().claim(&ente.id, claiming.limit, claiming.lease_ms, most).await?;
        let count = claim.entries.len();
        if count > 0 {
            crash_point!("emit.claimed");
        }
        self.look_at_all(catalogue, ente, &claim.entries).await?;
        let mut steps = Vec::with_capacity(count);
        for entry in claim.entries {
            if entry.is_unreadable {
                error!(ente = %ente.id, "a case cannot be read by this build, it is left to its lease");
                continue;
            }
            if entry.member.kind == Kind::Replan {
                continue;
            }
            let servizio = entry.case.as_ref().map(|case| case.servizio.clone()).unwrap_or_default();
            steps.push(if let Some(ctx) = context(catalogue, ente, &servizio, claim.now_ms) {
                self.guarded_step(&ctx, entry, claim.standard_only)
            } else {
                error!(ente = %ente.id, servizio, "due work of a service that is not in the catalogue");
                self.stranded(ente, entry, (stranded::SERVICE, claim.now_ms))
            });
        }
        self.store().fell_due(&ente.id, &timers_among(&steps)).await?;
        self.carry_out(&ente.id, steps).await?;
        self.metrics.stage("claim", begun);
        Ok(Emitted { count, in_flight: claim.in_flight, now_ms: claim.now_ms })
    }

    fn stranded(&self, ente: &Ente, entry: Claimed, (code, now_ms): (&str, i64)) -> Step {
        let (outcomes, after) = match stranded::decide(&ente.id, &entry, now_ms, (code, self.hash())) {
            Stranded::Waits => (vec![], After::Back(stranded::NEXT_LOOK_MS)),
            Stranded::Fails(outcome) => (vec![*outcome], After::Finish(format!("fallito|{code}"))),
            Stranded::Stays => (vec![], After::Nothing),
            Stranded::Ends => (vec![], After::Done),
        };
        Step { entry, work: None, outcomes, after }
    }

    /// Decides on an entry. A panic is this entry's, and not the end of all that was claimed with it.
    fn guarded_step(&self, ctx: &Context<'_>, entry: Claimed, standard_only: bool) -> Step {
        let kept = entry.clone();
        let step = AssertUnwindSafe(|| self.step(ctx, entry, standard_only));
        catch_unwind(step).unwrap_or_else(|_| {
            error!(ente = %ctx.ente.id, "deciding on due work panicked, it is left for a minute");
            self.stranded(ctx.ente, kept, (RefusalCode::Attempts.as_str(), ctx.now_ms()))
        })
    }

    fn step(&self, ctx: &Context<'_>, entry: Claimed, standard_only: bool) -> Step {
        crash_point!("emit.decided", &format!("{:?}", entry.member.kind));
        let known = entry.case.clone();
        let due = known.as_deref().and_then(|case| {
            Some((case, case.planned.iter().find(|planned| planned.slot == entry.member.slot)?))
        });
        let Some((case, planned)) = due else {
            error!(ente = %ctx.ente.id, "due work without its record: promemoria rebuild puts it back");
            // What a rebuild may still bring back does not end here.
            let after = match known {
                None => After::Back(stranded::NEXT_LOOK_MS),
                Some(_) => After::Finish("perso".to_owned()),
            };
            return Step { entry, work: None, outcomes: Vec::new(), after };
        };
        if entry.member.kind == Kind::Follow {
            return self.follow(ctx, entry, case, planned);
        }
        if entry.progress.is_in_doubt() {
            return self.doubt(ctx, entry, case, planned);
        }
        self.metrics.due(ctx.now_ms() - entry.due_ms);
        match fire(ctx, case, planned) {
            Due::Send { recipient, fields, taken_ms } => {
                let request = RenderRequest {
                    v: formats::RENDER.written(),
                    message: MessageRef {
                        attempt: entry.emission,
                        ..message_ref(ctx, case, &entry.member.case, planned)
                    },
                    codice_fiscale: recipient,
                    campi: fields,
                    solo_standard: standard_only,
                    dovuto_ms: planned.due_ms,
                    utile_fino_ms: planned.useful_until_ms,
                    accolto_ms: taken_ms,
                };
                // What goes because its event came belongs to the event's trace.
                let event = request.message.traceparent;
                let since = if taken_ms.is_some() { Cause::Event(event) } else { Cause::Since(event) };
                let work = self.work(topology::RENDER, (&request.message, since), &request);
                // Whoever left it in doubt may have died before it was told: it does not go again untold.
                let told = entry.progress.doubts_before() > 0;
                let outcomes = told.then(|| self.told_doubt(ctx, &entry, (case, planned), 0).1);
                Step { work, entry, outcomes: outcomes.into_iter().collect(), after: After::Nothing }
            }
            Due::Office => {
                let outcome = office(ctx, case, &entry.member.case, planned, self.hash());
                let after = After::Finish("maturata".to_owned());
                Step { entry, work: None, outcomes: vec![outcome], after }
            }
            Due::Discard(motivo) => self.discard(ctx, entry, (case, planned), motivo),
            Due::Gone => {
                Step { entry, work: None, outcomes: Vec::new(), after: After::Finish("annullato".to_owned()) }
            }
        }
    }

    fn discard(&self, ctx: &Context<'_>, entry: Claimed, what: (&Case, &Planned), motivo: Motivo) -> Step {
        let (case, planned) = what;
        let outcome = not_sent(ctx, case, &entry.member.case, planned, (motivo, self.hash()));
        self.metrics.message(&ctx.ente.id, &planned.rule, "scartato");
        Step {
            entry,
            work: None,
            outcomes: vec![outcome],
            after: After::Finish(format!("scartato|{}", motivo.as_str())),
        }
    }

    /// A lease that ended after the point of no return: nobody knows whether it was sent.
    fn doubt(&self, ctx: &Context<'_>, entry: Claimed, case: &Case, planned: &Planned) -> Step {
        let about = (case, planned);
        if entry.progress.gives_up() {
            return self.expired(ctx, entry, about);
        }
        let doubts = entry.progress.doubts_before();
        let (ruling, in_doubt) = self.told_doubt(ctx, &entry, about, doubts);
        let after_ms = match ruling {
            Ruling::Resend => self.resend_after_ms,
            // The first millisecond after its use.
            Ruling::ExpireAt(end) => end.saturating_sub(ctx.now_ms()).saturating_add(1),
            Ruling::Hold | Ruling::AssumeSent => 0,
        };
        let outcome = match ruling {
            Ruling::AssumeSent => {
                self.metrics.message(&ctx.ente.id, &planned.rule, "inviato");
                assumed(ctx, case, &entry.member.case, planned, self.hash())
            }
            Ruling::Hold | Ruling::Resend | Ruling::ExpireAt(_) => in_doubt,
        };
        Step { entry, work: None, outcomes: vec![outcome], after: After::Rule(ruling, after_ms) }
    }

    /// What a doubt after so many comes to, and its telling: the same one whoever tells it.
    fn told_doubt(
        &self,
        ctx: &Context<'_>,
        entry: &Claimed,
        (case, planned): (&Case, &Planned),
        doubts: u32,
    ) -> (Ruling, Outcome) {
        let policy = policy(ctx, &planned.rule).unwrap_or(self.in_doubt);
        let ruling = policy.ruling(doubts, planned.useful_until_ms);
        let outcome = in_doubt(ctx, case, &entry.member.case, planned, self.hash())
            .telling(&(doubts + 1).to_string())
            .with("politica", ruling.policy().as_str())
            .with("tentativo", doubts + 1);
        (ruling, outcome)
    }

    /// A doubt whose message is of no use any more, by policy `expire`.
    fn expired(&self, ctx: &Context<'_>, entry: Claimed, (case, planned): (&Case, &Planned)) -> Step {
        let outcome = given_up(ctx, case, &entry.member.case, planned, (EXPIRED, self.hash()));
        self.metrics.message(&ctx.ente.id, &planned.rule, "fallito");
        let after = After::Finish(format!("fallito|{EXPIRED}"));
        Step { entry, work: None, outcomes: vec![outcome], after }
    }

    /// The end of a message that an operator gave up, and of which nobody said that it is told.
    fn dropped(&self, ctx: &Context<'_>, entry: Claimed, (case, planned): (&Case, &Planned)) -> Step {
        warn!(ente = %ctx.ente.id, "a message that an operator gave up is told now");
        let outcome = given_up(ctx, case, &entry.member.case, planned, (DROPPED, self.hash()));
        Step { entry, work: None, outcomes: vec![outcome], after: After::Done }
    }

    /// Asks for the status of a sent message.
    fn follow(&self, ctx: &Context<'_>, entry: Claimed, case: &Case, planned: &Planned) -> Step {
        if is_dropped(&entry) {
            return self.dropped(ctx, entry, (case, planned));
        }
        let sent = (entry.progress.ended() == Some("inviato")).then(|| entry.progress.ended_ms()).flatten();
        let io_id = entry.progress.detail(1).filter(|id| !id.is_empty()).map(str::to_owned);
        let recipient = case
            .things
            .get(&planned.thing)
            .and_then(|thing| thing.values().flatten().find(|fact| fact.stamp.id == planned.event))
            .or_else(|| case.things.get(&planned.thing)?.values().flatten().last())
            .and_then(|fact| fact.recipient.clone());
        let (Some(inviato_ms), Some(io_id), Some(codice_fiscale)) = (sent, io_id, recipient) else {
            return Step { entry, work: None, outcomes: Vec::new(), after: After::Done };
        };
        let age = ctx.now_ms() - inviato_ms;
        let asked = ASKING_MS.iter().filter(|after| **after < age).count();
        let mut message = message_ref(ctx, case, &entry.member.case, planned);
        message.attempt = u32::try_from(asked).unwrap_or(u32::MAX);
        let request =
            FollowRequest { v: formats::FOLLOW.written(), message, codice_fiscale, io_id, inviato_ms };
        let since = Cause::Since(request.message.traceparent);
        let work = self.work(topology::FOLLOW, (&request.message, since), &request);
        Step { work, entry, outcomes: Vec::new(), after: After::Nothing }
    }

    /// Work for a queue, and the span of its publishing.
    fn work(
        &self,
        routing_key: &str,
        (message, since): (&MessageRef, Cause),
        body: &impl Body,
    ) -> Option<Outgoing> {
        let body = wire::write(body)?;
        let what = if routing_key == topology::FOLLOW { "/stato" } else { "" };
        let id = format!("{}{what}/{}", message.chiave, message.attempt);
        let span = self.traces.send(&Place { exchange: topology::WORK, routing_key, queue: None }, since);
        span.note_message(message);
        let work = Outgoing::new(topology::WORK, routing_key, id, Bytes::from(body));
        Some(work.with_trace(span.context()).with_span(span))
    }

    /// Publishes the work and the outcomes, then settles what needs it. What could not be published comes
    /// back when its lease ends.
    async fn carry_out(&self, ente: &str, mut steps: Vec<Step>) -> Result<(), StoreError> {
        let mut works = Vec::with_capacity(steps.len());
        for step in &mut steps {
            works.extend(step.work.take());
        }
        let confirmed = self.outbox.publish(works).await;
        if confirmed > 0 {
            warn!(ente, unconfirmed = confirmed, "due work was not confirmed, its lease brings it back");
        }
        if !steps.is_empty() {
            crash_point!("emit.published");
        }
        for step in steps {
            if step.outcomes.is_empty() || self.outbox.tell(step.outcomes).await {
                self.settle(ente, &step.entry, step.after).await?;
            }
        }
        Ok(())
    }

    async fn settle(&self, ente: &str, entry: &Claimed, after: After) -> Result<(), StoreError> {
        let ours = match after {
            After::Nothing => true,
            After::Finish(what) => self.store().finish(ente, entry, &what).await?,
            After::Done => self.store().done(ente, entry).await?,
            After::Back(ms) => self.store().put_back(ente, entry, ms).await?,
            After::Rule(ruling, ms) => self.store().rule(ente, entry, LEASE_ENDED, (ruling, ms)).await?,
        };
        if !ours {
            warn!(ente, "an entry was settled by another before");
        }
        Ok(())
    }
}

/// Given up by an operator.
fn is_dropped(entry: &Claimed) -> bool {
    entry.progress.ended() == Some("fallito") && entry.progress.detail(0) == Some(DROPPED)
}

/// Timers among the steps that were never emitted before, by rule.
fn timers_among(steps: &[Step]) -> BTreeMap<String, i64> {
    let mut rules = BTreeMap::new();
    let first =
        steps.iter().filter(|step| step.entry.member.kind == Kind::Message && step.entry.emission == 1);
    for step in first {
        let planned = step.entry.case.iter().flat_map(|case| &case.planned);
        let timer = planned.filter(|p| p.slot == step.entry.member.slot && p.is_timer).map(|p| &p.rule);
        for rule in timer {
            *rules.entry(rule.clone()).or_default() += 1;
        }
    }
    rules
}

/// The policy for unknown outcomes of a message type: the ente's, else the catalogue's.
fn policy(ctx: &Context<'_>, rule: &str) -> Option<InDubbio> {
    let choice = ctx.ente.servizi.get(&ctx.service.scheda.id).and_then(|s| s.messaggi.get(rule)?.in_dubbio);
    choice.or_else(|| ctx.service.messaggi.get(rule)?.in_dubbio)
}
