//! Doubts, and a store that is away or knows better.

use serde_json::{Value, json};
use shared::store::StoreError;
use shared::store::ledger::{Fence, History, Settled};
use shared::wire::Level;

use super::super::*;
use super::{dispatch, outcome};
use crate::doubles::{Seen, handler};
use crate::io_api::{Evidence, ProfileAnswer, SubmitAnswer};

#[tokio::test(start_paused = true)]
async fn a_doubt_is_held_or_resent_once() {
    let rows = [("hold", 0, "hold", 1), ("resend", 0, "resend", 1), ("resend", 1, "hold", 2)];
    for (policy, doubts, politica, tentativo) in rows {
        let (handler, world) = handler();
        *world.history.lock().unwrap() = History { doubts, ..History::default() };
        world.submits.lock().unwrap().push_back(SubmitAnswer::Unknown(Evidence::Timeout));
        let verdict = dispatch(&handler, json!({"in_dubbio": policy})).await;
        let data = json!({"politica": politica, "tentativo": tentativo});
        assert_eq!(outcome(&verdict), ("messaggio.in-dubbio", data), "{policy} after {doubts}");
        let settlements = world.settlements();
        let [Settlement::InDoubt { after, evidence, .. }] = settlements.as_slice() else {
            panic!("{settlements:?}")
        };
        assert_eq!(evidence, "timeout");
        assert_eq!(after.is_some(), politica == "resend", "{policy} after {doubts}");
        assert_eq!(verdict.end, End::Ack);
    }
}

#[tokio::test(start_paused = true)]
async fn ten_submits_in_a_row_without_an_answer_pause_the_account_whose_profiles_are_answered() {
    let (handler, world) = handler();
    world.submits.lock().unwrap().extend(vec![SubmitAnswer::Unknown(Evidence::Gateway); 11]);
    for _ in 0..10 {
        assert!(world.pauses.lock().unwrap().is_empty());
        assert_eq!(outcome(&dispatch(&handler, json!({})).await).0, "messaggio.in-dubbio");
    }
    assert_eq!(world.pauses.lock().unwrap().len(), 1);
    world.seen();
    dispatch(&handler, json!({})).await;
    assert!(!world.seen().contains(&Seen::Fence), "one more is sent while the account rests");
}

#[tokio::test(start_paused = true)]
async fn a_doubt_that_is_assumed_to_be_sent_ends_flagged_and_without_an_id() {
    for doubts in [0, 1] {
        let (handler, world) = handler();
        *world.history.lock().unwrap() = History { doubts, ..History::default() };
        world.submits.lock().unwrap().push_back(SubmitAnswer::Unknown(Evidence::Gateway));
        let verdict = dispatch(&handler, json!({"in_dubbio": "assume_sent", "ripiego": true})).await;
        let (tipo, data) = outcome(&verdict);
        assert_eq!(tipo, "messaggio.inviato");
        assert_eq!((&data["presunto"], &data["io_id"]), (&json!(true), &Value::Null));
        assert_eq!((&data["livello"], &data["testo"]), (&json!("STANDARD"), &json!("0123456789abcdef")));
        let settlements = world.settlements();
        let [Settlement::Assumed { level, ripiego, .. }] = settlements.as_slice() else {
            panic!("{settlements:?}")
        };
        assert_eq!((*level, *ripiego), (Some(Level::Standard), true));
        assert_eq!(
            handler
                .metrics()
                .own
                .premium_messages
                .with_label_values(&["borgochiaro", "promemoria-appuntamento"])
                .get(),
            0
        );
        let sent = dispatch(&handler, json!({})).await;
        assert_ne!(verdict.outcomes[0].id(), sent.outcomes[0].id(), "an answer after all is news");
    }
}

#[tokio::test(start_paused = true)]
async fn a_doubt_that_expires_is_due_just_after_its_use_and_without_an_end_is_held() {
    let (handler, world) = handler();
    let now = handler.parts.clock.now().timestamp_millis();
    let end = now + 60_000;
    world.submits.lock().unwrap().extend(vec![SubmitAnswer::Unknown(Evidence::Timeout); 2]);
    let verdict = dispatch(&handler, json!({"in_dubbio": "expire", "utile_fino_ms": end})).await;
    assert_eq!(outcome(&verdict), ("messaggio.in-dubbio", json!({"politica": "expire", "tentativo": 1})));
    let settlements = world.settlements();
    let [Settlement::InDoubt { after: Some(after), .. }] = settlements.as_slice() else {
        panic!("{settlements:?}")
    };
    let later = handler.parts.clock.now().timestamp_millis() - now;
    let due = i64::try_from(after.as_millis()).unwrap();
    assert!((60_001 - later..=60_001).contains(&due), "{due} after {later}");
    let verdict = dispatch(&handler, json!({"in_dubbio": "expire"})).await;
    assert_eq!(outcome(&verdict).1["politica"], "hold");
}

#[tokio::test(start_paused = true)]
async fn doubts_of_one_message_are_different_outcomes() {
    let (handler, world) = handler();
    let mut ids = Vec::new();
    for doubts in [0, 0, 1] {
        *world.history.lock().unwrap() = History { doubts, ..History::default() };
        world.submits.lock().unwrap().push_back(SubmitAnswer::Unknown(Evidence::Reset));
        ids.push(dispatch(&handler, json!({})).await.outcomes[0].id());
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_comes_again_tells_the_doubt_whatever_turns_it_away() {
    let (handler, world) = handler();
    // Who made the doubt may have died before it was told, and now the recipient cannot be written to.
    world.profiles.lock().unwrap().push_back(ProfileAnswer::NotFound);
    world.settled.lock().unwrap().push_back(Ok(Settled::InDoubt));
    let verdict = dispatch(&handler, json!({"in_dubbio": "resend"})).await;
    assert_eq!(outcome(&verdict), ("messaggio.in-dubbio", json!({"politica": "resend", "tentativo": 1})));
    assert_eq!(verdict.end, End::Ack);
    let seen = world.seen();
    let [.., Seen::TurnedBack(Settlement::Discarded { .. }), Seen::Settle(Settlement::InDoubt { .. })] =
        seen.as_slice()
    else {
        panic!("{seen:?}")
    };
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_recorded_as_soon_as_the_store_is_back_and_sent_once() {
    let (handler, world) = handler();
    let away = || Err(StoreError::Unavailable("away".into()));
    world.fences.lock().unwrap().extend([Err(StoreError::Unavailable("away".into())), Ok(Fence::Go)]);
    world.settled.lock().unwrap().extend([away(), away(), away(), Ok(Settled::Recorded)]);
    let verdict = dispatch(&handler, json!({})).await;
    assert_eq!(outcome(&verdict).0, "messaggio.inviato");
    let seen = world.seen();
    assert_eq!(seen.iter().filter(|seen| matches!(seen, Seen::Submit(_))).count(), 1);
    assert_eq!(seen.iter().filter(|seen| matches!(seen, Seen::Settle(_))).count(), 4);
    let intents = world.intents.lock().unwrap();
    assert_eq!(intents[0], intents[1], "the same try, repeated");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_away_before_the_fence_gives_the_delivery_back() {
    let (handler, world) = handler();
    let away = || Err(StoreError::Unavailable("away".into()));
    world.fences.lock().unwrap().extend(std::iter::repeat_with(away).take(1_000));
    assert_eq!(dispatch(&handler, json!({})).await, End::GiveBack.into());
    assert!(!world.seen().contains(&Seen::Submit("prima".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn what_the_ledger_knows_better_is_told_in_its_place() {
    let (handler, world) = handler();
    world.profiles.lock().unwrap().push_back(ProfileAnswer::NotFound);
    let sent = Settlement::Sent {
        io_id: Some("IO-0".to_owned()),
        level: Level::Standard,
        ripiego: false,
        follow: true,
        inviato_ms: 0,
    };
    world.settled.lock().unwrap().push_back(Ok(Settled::Already(sent)));
    assert_eq!(outcome(&dispatch(&handler, json!({})).await).1["io_id"], "IO-0");
    world.profiles.lock().unwrap().push_back(ProfileAnswer::NotFound);
    world.settled.lock().unwrap().push_back(Ok(Settled::Stale));
    assert_eq!(dispatch(&handler, json!({})).await, End::Ack.into());
}

#[tokio::test(start_paused = true)]
async fn a_sending_by_a_superseded_emission_is_told_as_one_of_its_own() {
    let (handler, world) = handler();
    let usual = dispatch(&handler, json!({})).await;
    world.settled.lock().unwrap().push_back(Ok(Settled::Stale));
    let late = dispatch(&handler, json!({})).await;
    assert_eq!((outcome(&late).0, &outcome(&late).1["io_id"]), ("messaggio.inviato", &json!("IO-1")));
    assert_ne!(late.outcomes[0].id(), usual.outcomes[0].id(), "no repetition of the other's");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_goes_to_the_dead() {
    let (handler, world) = handler();
    world.fences.lock().unwrap().push_back(Err(StoreError::Unreadable("state")));
    let verdict = dispatch(&handler, json!({})).await;
    assert!(matches!(verdict.end, End::Dead { code: "store", .. }), "{:?}", verdict.end);
}
