//! Following.

use serde_json::json;
use shared::domain::FiscalCode;

use super::super::*;
use crate::doubles::{CODE, Seen, follow_request, handler, hash};
use crate::io_api::StatusAnswer;

#[tokio::test(start_paused = true)]
async fn a_final_status_is_settled_and_told() {
    let rows = [
        (StatusAnswer::Processed, "messaggio.consegnato", json!({"io_id": "IO-1"})),
        (StatusAnswer::Rejected, "messaggio.rifiutato", json!({"io_id": "IO-1", "stato": "REJECTED"})),
        (StatusAnswer::Failed, "messaggio.rifiutato", json!({"io_id": "IO-1", "stato": "FAILED"})),
    ];
    for (answer, tipo, data) in rows {
        let (handler, world) = handler();
        world.statuses.lock().unwrap().push_back(answer.clone());
        let verdict = handler.follow(&follow_request(0, 1), || true).await;
        let [outcome] = verdict.outcomes.as_slice() else { panic!("{verdict:?}") };
        assert_eq!(outcome.tipo, tipo, "{answer:?}");
        super::assert_keeps_its_schema(outcome);
        assert_eq!(outcome.data["destinatario"], hash().of(&FiscalCode::parse(CODE).unwrap()), "{answer:?}");
        for (key, value) in data.as_object().unwrap() {
            assert_eq!(&outcome.data[key], value, "{answer:?}");
        }
        assert!(matches!(world.seen().as_slice(), [Seen::Status(_), Seen::Settle(_)]), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_status_is_asked_for_again_and_not_after_seven_days() {
    for answer in [StatusAnswer::Pending, StatusAnswer::Retryable] {
        let (handler, world) = handler();
        let now = handler.parts.clock.now().timestamp_millis();
        world.statuses.lock().unwrap().extend([answer.clone(), answer.clone()]);
        assert_eq!(handler.follow(&follow_request(now, 2), || true).await, End::Ack.into());
        let settlements = world.settlements();
        assert!(
            matches!(settlements.as_slice(), [Settlement::FollowLater { after }]
                if (120..=180).contains(&after.as_secs())),
            "{answer:?}: {settlements:?}"
        );
        let week_ago = now - 7 * 86_400_000;
        assert_eq!(handler.follow(&follow_request(week_ago, 30), || true).await, End::Ack.into());
        assert_eq!(world.settlements(), [Settlement::FollowEnded], "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_stops_the_account_or_the_service_only_delays_the_asking() {
    let retry_after = Duration::from_secs(9);
    for answer in [StatusAnswer::Throttled { retry_after }, StatusAnswer::KeyRefused] {
        let (handler, world) = handler();
        world.statuses.lock().unwrap().push_back(answer.clone());
        assert_eq!(handler.follow(&follow_request(0, 1), || true).await, End::Ack.into());
        let settlements = world.settlements();
        assert!(matches!(settlements.as_slice(), [Settlement::FollowLater { .. }]), "{settlements:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_no_longer_ours_is_given_back() {
    let (handler, world) = handler();
    assert_eq!(handler.follow(&follow_request(0, 1), || false).await, End::GiveBack.into());
    assert!(world.seen().is_empty());
}
