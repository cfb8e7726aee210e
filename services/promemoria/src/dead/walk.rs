//! A walk through the queue of what was given up: each message is taken in hand, and goes back unless it
//! was settled.

use shared::broker::{Delivery, topology};

use crate::connect;
use crate::report::Failure;
use crate::setup::Setup;

/// What becomes of a message in hand.
pub(super) enum Verdict {
    /// It goes back at the end of the walk.
    Keep,
    /// It is taken off the queue.
    Take,
    /// It goes back, and the walk ends.
    Stop,
}

/// Visits each message that waits now, with its place from 1. Returns how many there were.
pub(super) async fn walk(
    setup: &Setup,
    mut visit: impl AsyncFnMut(usize, &Delivery) -> Result<Verdict, Failure>,
) -> Result<usize, Failure> {
    let desk = connect::desk(&setup.settings).await?;
    let away = |error| connect::broker_away(&error);
    let walked = async {
        let depth = desk.depth(topology::DEAD_QUEUE).await.map_err(away)?;
        let Some(depth) = depth else {
            return Err(Failure::fault(format!(
                "there is no queue {}: the fleet never ran on this virtual host; check amqp.url",
                topology::DEAD_QUEUE
            )));
        };
        let total = usize::try_from(depth.messages).unwrap_or(usize::MAX);
        // What dies meanwhile is for the next walk: without a bound this one may never end.
        for place in 1..=total {
            let Some(delivery) = desk.take(topology::DEAD_QUEUE).await.map_err(away)? else { break };
            match visit(place, &delivery).await? {
                Verdict::Keep => {}
                Verdict::Take => desk.ack(delivery).await.map_err(away)?,
                Verdict::Stop => break,
            }
        }
        Ok(total)
    }
    .await;
    desk.close().await;
    walked
}
