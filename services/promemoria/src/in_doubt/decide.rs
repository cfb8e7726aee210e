//! Decisions on doubts, each written only if the message still stands as it was seen.

use shared::arrival::context;
use shared::broker::RabbitMq;
use shared::clock::Clock;
use shared::outbox::Outbox;
use shared::store::inspect::{DROPPED, Decision, Inspector};
use shared::wire::Outcome;
use shared::wire::telling::given_up;

use super::{Decided, Doubt};
use crate::connect;
use crate::report::Failure;
use crate::setup::Setup;

/// Puts each back into the schedule, due now, to be sent once more.
pub(super) async fn resend(inspector: &Inspector, doubts: &[Doubt<'_>]) -> Result<Vec<Decided>, Failure> {
    let mut decided = Vec::new();
    for doubt in doubts {
        let written = inspector.decide(&doubt.ente.id, doubt.member, &doubt.progress, Decision::Resend).await;
        let done = written.map_err(|error| connect::redis_away(&error))?.is_some();
        decided.push(Decided { chiave: doubt.chiave.clone(), done });
    }
    Ok(decided)
}

/// Gives each up and tells its ente. One whose outcome cannot be told stays in doubt; if this process dies between the
/// two, a scheduler tells it.
pub(super) async fn drop_all(
    setup: &Setup,
    inspector: &Inspector,
    doubts: &[Doubt<'_>],
) -> Result<Vec<Decided>, Failure> {
    if doubts.is_empty() {
        return Ok(Vec::new());
    }
    let broker = connect::broker(&setup.settings).await?;
    let dropped = drop_each(setup, inspector, &broker, doubts).await;
    broker.close().await;
    dropped
}

async fn drop_each(
    setup: &Setup,
    inspector: &Inspector,
    broker: &RabbitMq,
    doubts: &[Doubt<'_>],
) -> Result<Vec<Decided>, Failure> {
    let outbox = Outbox::new(broker.publisher(), Clock::system());
    let mut decided = Vec::new();
    for doubt in doubts {
        let ente = doubt.ente.id.as_str();
        let outcome = outcome(setup, doubt)?;
        let written = inspector.decide(ente, doubt.member, &doubt.progress, Decision::Drop).await;
        let written = written.map_err(|error| connect::redis_away(&error))?;
        if let Some(now) = &written {
            if outbox.tell(vec![outcome]).await {
                let told = inspector.told(ente, doubt.member).await;
                told.map_err(|error| connect::redis_away(&error))?;
                decided.push(Decided { chiave: doubt.chiave.clone(), done: true });
                continue;
            }
            let undone = inspector.undo(ente, doubt.member, now, &doubt.progress).await;
            undone.map_err(|error| connect::redis_away(&error))?;
            return Err(Failure::Away(format!(
                "RabbitMQ: the outcome of {} was not confirmed, the message stays in doubt; {} decided before it",
                doubt.chiave,
                decided.len()
            )));
        }
        decided.push(Decided { chiave: doubt.chiave.clone(), done: false });
    }
    Ok(decided)
}

/// `messaggio.fallito` of a message that is given up.
fn outcome(setup: &Setup, doubt: &Doubt<'_>) -> Result<Outcome, Failure> {
    let ctx = context(&setup.catalogue, doubt.ente, &doubt.case.servizio, doubt.since_ms);
    let ctx = ctx.ok_or_else(|| {
        Failure::fault(format!("{}: its service is not in the catalogue; put it back first", doubt.chiave))
    })?;
    let hash = setup.hash();
    Ok(given_up(&ctx, &doubt.case, &doubt.member.case, &doubt.planned, (DROPPED, &hash)))
}
