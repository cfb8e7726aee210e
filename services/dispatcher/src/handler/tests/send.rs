//! Sending.

use serde_json::{Value, json};
use shared::store::ledger::{Fence, History};
use shared::wire::Level;

use super::super::*;
use super::{dispatch, outcome, retry, scartato};
use crate::doubles::{Seen, handler, request};
use crate::io_api::{Misconfigured, ProfileAnswer, Refusal, SubmitAnswer};

#[tokio::test(start_paused = true)]
async fn a_good_message_is_asked_for_fenced_sent_settled_and_told() {
    let (handler, world) = handler();
    let verdict = dispatch(&handler, json!({"ripiego": true})).await;
    let seen = world.seen();
    let [Seen::Profile(_), Seen::Fence, Seen::Submit(_), Seen::Settle(sent)] = seen.as_slice() else {
        panic!("in this order: {seen:?}")
    };
    let Settlement::Sent { io_id, level, ripiego, follow, inviato_ms } = sent else { panic!("{sent:?}") };
    assert_eq!((io_id.as_deref(), *level, *ripiego, *follow), (Some("IO-1"), Level::Standard, true, true));
    let sent_at = chrono::DateTime::from_timestamp_millis(*inviato_ms).unwrap();
    let inviato_il = sent_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let data = json!({
        "io_id": "IO-1", "livello": "STANDARD", "inviato_il": inviato_il, "testo": "0123456789abcdef"
    });
    assert_eq!(outcome(&verdict), ("messaggio.inviato", data));
    assert_eq!(verdict.end, End::Ack);
    let intents = world.intents.lock().unwrap();
    assert!(intents[0].lasts > Duration::from_secs(10), "longer than the request may take");
}

#[tokio::test(start_paused = true)]
async fn a_message_without_an_id_is_sent_and_not_followed() {
    let (handler, world) = handler();
    world.submits.lock().unwrap().push_back(SubmitAnswer::Created { io_id: None });
    let verdict = dispatch(&handler, json!({})).await;
    assert_eq!(outcome(&verdict).1["io_id"], Value::Null);
    let settlements = world.settlements();
    assert!(matches!(settlements[0], Settlement::Sent { io_id: None, follow: false, .. }), "{settlements:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_past_its_use_is_discarded_without_a_call() {
    let (handler, world) = handler();
    let verdict = dispatch(&handler, json!({"utile_fino_ms": 1})).await;
    assert_eq!(outcome(&verdict), scartato("scadenza-passata"));
    assert!(matches!(world.seen().as_slice(), [Seen::TurnedBack(_)]));
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_written_to_is_discarded_before_the_fence() {
    for answer in [ProfileAnswer::NotAllowed, ProfileAnswer::NotFound] {
        let (handler, world) = handler();
        world.profiles.lock().unwrap().push_back(answer.clone());
        let verdict = dispatch(&handler, json!({})).await;
        assert_eq!(outcome(&verdict), scartato("destinatario-non-raggiungibile"), "{answer:?}");
        assert!(matches!(world.seen().as_slice(), [Seen::Profile(_), Seen::TurnedBack(_)]), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_fence_refuses_never_leaves() {
    let sent = Settlement::Sent {
        io_id: Some("IO-0".to_owned()),
        level: Level::Standard,
        ripiego: false,
        follow: true,
        inviato_ms: 0,
    };
    let cancelled = Fence::Cancelled { motivo: "gia-pagato".into() };
    let rows = [
        ("stale", Fence::Stale, None),
        ("cancelled", cancelled, Some("messaggio.scartato")),
        ("sent before", Fence::Settled(sent), Some("messaggio.inviato")),
    ];
    for (row, fence, tipo) in rows {
        let (handler, world) = handler();
        world.fences.lock().unwrap().push_back(Ok(fence));
        let verdict = dispatch(&handler, json!({})).await;
        assert_eq!(world.seen(), [Seen::Profile("prima".to_owned()), Seen::Fence], "{row}");
        assert_eq!(verdict.outcomes.first().map(|outcome| outcome.tipo), tipo, "{row}");
        assert_eq!(verdict.end, End::Ack, "{row}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_try_that_was_abandoned_is_a_doubt_and_is_not_sent() {
    let (handler, world) = handler();
    world.fences.lock().unwrap().push_back(Ok(Fence::Abandoned));
    let verdict = dispatch(&handler, json!({})).await;
    assert_eq!(outcome(&verdict).0, "messaggio.in-dubbio");
    assert!(!world.seen().contains(&Seen::Submit("prima".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_no_longer_ours_is_given_back_before_the_fence() {
    let (handler, world) = handler();
    let lost = handler.dispatch(&request(json!({})), || false).await;
    assert_eq!(lost, End::GiveBack.into());
    assert!(world.seen().is_empty());
    // Lost while the profile was asked for.
    let usable = || world.seen.lock().unwrap().is_empty();
    let lost = handler.dispatch(&request(json!({})), usable).await;
    assert_eq!(lost, End::GiveBack.into());
    assert_eq!(world.seen(), [Seen::Profile("prima".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stops_sends_nothing_more() {
    let (handler, world) = handler();
    handler.parts.stopping.cancel();
    assert_eq!(dispatch(&handler, json!({})).await, End::GiveBack.into());
    assert!(!world.seen().contains(&Seen::Fence));
}

#[tokio::test(start_paused = true)]
async fn a_429_pauses_the_account_for_all_and_burns_nothing() {
    let retry_after = Duration::from_secs(7);
    for at_profile in [true, false] {
        let (handler, world) = handler();
        if at_profile {
            world.profiles.lock().unwrap().push_back(ProfileAnswer::Throttled { retry_after });
        } else {
            world.submits.lock().unwrap().push_back(SubmitAnswer::Throttled { retry_after });
        }
        let verdict = dispatch(&handler, json!({})).await;
        assert_eq!(verdict, End::Ack.into(), "nothing to tell");
        let (after, burns) = retry(&world);
        assert!(after >= retry_after && !burns, "{after:?}");
        assert_eq!(*world.pauses.lock().unwrap(), [retry_after]);
        dispatch(&handler, json!({})).await;
        assert!(!retry(&world).1, "the next message waits without a call");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_gives_way_to_the_second_and_then_only_the_service_is_paused() {
    let (handler, world) = handler();
    let refused = || world.profiles.lock().unwrap().push_back(ProfileAnswer::KeyRefused);
    refused();
    dispatch(&handler, json!({})).await;
    assert_eq!(retry(&world), (Duration::ZERO, false), "back at once");
    refused();
    dispatch(&handler, json!({})).await;
    let seen = world.seen();
    assert_eq!(seen[0], Seen::Profile("seconda".to_owned()));
    assert!(matches!(&seen[1], Seen::TurnedBack(Settlement::Retry { after, burns_attempt: false, .. })
        if *after >= Duration::from_mins(1)));
    dispatch(&handler, json!({})).await;
    assert!(matches!(
        world.seen().as_slice(),
        [Seen::TurnedBack(Settlement::Retry { burns_attempt: false, .. })]
    ));
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(outcome(&dispatch(&handler, json!({})).await).0, "messaggio.inviato");
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_account_pauses_the_service_and_burns_nothing() {
    let (handler, world) = handler();
    let what = Misconfigured::Permission;
    world.submits.lock().unwrap().push_back(SubmitAnswer::Misconfigured(what));
    assert_eq!(dispatch(&handler, json!({})).await, End::Ack.into());
    assert!(!retry(&world).1);
    dispatch(&handler, json!({})).await;
    assert!(matches!(
        world.seen().as_slice(),
        [Seen::TurnedBack(Settlement::Retry { burns_attempt: false, .. })]
    ));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_sender_waits_and_burns_nothing() {
    for fields in [json!({"ente": "altrove"}), json!({"servizio": "altro"})] {
        let (handler, world) = handler();
        assert_eq!(dispatch(&handler, fields).await, End::Ack.into());
        assert!(!retry(&world).1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_permanent_refusal_fails_with_its_code_and_never_its_text() {
    let (handler, world) = handler();
    world.submits.lock().unwrap().push_back(SubmitAnswer::Refused(Refusal::Structure));
    let verdict = dispatch(&handler, json!({})).await;
    assert_eq!(outcome(&verdict), ("messaggio.fallito", json!({"codice": "io-structure"})));
    assert_eq!(verdict.end, End::Ack);
}

#[tokio::test(start_paused = true)]
async fn a_refused_premium_message_comes_back_at_once_as_standard() {
    let (handler, world) = handler();
    world.submits.lock().unwrap().push_back(SubmitAnswer::PremiumRefused);
    assert_eq!(dispatch(&handler, json!({"livello": "ADVANCED"})).await, End::Ack.into());
    let tail = world.seen().split_off(3);
    assert_eq!(
        tail,
        [Seen::Standard("borgochiaro 3600".to_owned()), Seen::Settle(Settlement::PremiumRefused)]
    );
    world.submits.lock().unwrap().push_back(SubmitAnswer::PremiumRefused);
    let verdict = dispatch(&handler, json!({})).await;
    assert_eq!(
        outcome(&verdict).1,
        json!({"codice": "io-feature"}),
        "a STANDARD one would come back for ever"
    );
}

#[tokio::test(start_paused = true)]
async fn what_certainly_did_not_leave_is_due_again_and_burns_nothing() {
    let (handler, world) = handler();
    world.submits.lock().unwrap().push_back(SubmitAnswer::NotSent);
    assert_eq!(dispatch(&handler, json!({})).await, End::Ack.into());
    assert!(!retry(&world).1);
    world.profiles.lock().unwrap().push_back(ProfileAnswer::Unavailable);
    assert_eq!(dispatch(&handler, json!({})).await, End::Ack.into());
    assert!(!retry(&world).1);
}

#[tokio::test(start_paused = true)]
async fn what_the_profile_stops_undoes_no_try_and_what_the_sending_stops_undoes_its_own() {
    let retry_after = Duration::from_secs(1);
    let (handler, world) = handler();
    world.profiles.lock().unwrap().push_back(ProfileAnswer::Throttled { retry_after });
    dispatch(&handler, json!({})).await;
    assert!(matches!(world.seen().as_slice(), [Seen::Profile(_), Seen::TurnedBack(_)]));
    tokio::time::advance(Duration::from_secs(2)).await;
    world.submits.lock().unwrap().push_back(SubmitAnswer::Throttled { retry_after });
    dispatch(&handler, json!({})).await;
    let seen = world.seen();
    assert!(
        matches!(seen.as_slice(), [Seen::Profile(_), Seen::Fence, Seen::Submit(_), Seen::Settle(_)]),
        "{seen:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn ten_failures_in_a_row_pause_the_account() {
    let (handler, world) = handler();
    world.profiles.lock().unwrap().extend(vec![ProfileAnswer::Unavailable; 10]);
    for _ in 0..10 {
        assert!(world.pauses.lock().unwrap().is_empty());
        dispatch(&handler, json!({})).await;
    }
    assert_eq!(world.pauses.lock().unwrap().len(), 1);
    world.seen();
    dispatch(&handler, json!({})).await;
    assert!(matches!(
        world.seen().as_slice(),
        [Seen::TurnedBack(Settlement::Retry { burns_attempt: false, .. })]
    ));
}

#[tokio::test(start_paused = true)]
async fn repetitions_go_only_as_far_as_fresh_messages_pay_for_them() {
    let (handler, world) = handler();
    *world.history.lock().unwrap() = History { failures: 1, doubts: 0, repeats: true };
    let again = || json!({"attempt": 2});
    for _ in 0..10 {
        assert_eq!(outcome(&dispatch(&handler, again()).await).0, "messaggio.inviato");
    }
    world.seen();
    assert_eq!(dispatch(&handler, again()).await, End::Ack.into());
    let held = world.seen();
    let [Seen::TurnedBack(Settlement::Retry { after, burns_attempt: false, called: true })] = held.as_slice()
    else {
        panic!("no call, nothing burnt, still a repetition: {held:?}")
    };
    assert!(*after >= Duration::from_secs(10));
    assert_eq!(handler.metrics().own.retries_held.with_label_values(&["borgochiaro"]).get(), 1);
    for _ in 0..10 {
        dispatch(&handler, json!({})).await;
    }
    assert_eq!(
        outcome(&dispatch(&handler, again()).await).0,
        "messaggio.inviato",
        "ten fresh ones pay for one"
    );
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_for_another_reason_is_no_repetition() {
    let (handler, world) = handler();
    let retry_after = Duration::from_secs(1);
    for _ in 0..30 {
        world.submits.lock().unwrap().push_back(SubmitAnswer::Throttled { retry_after });
        dispatch(&handler, json!({"attempt": 2})).await;
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    let called = |settlement: &Settlement| matches!(settlement, Settlement::Retry { called: true, .. });
    assert!(!world.settlements().iter().any(called), "a 429 burns nothing");
    assert_eq!(handler.metrics().own.retries_held.with_label_values(&["borgochiaro"]).get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_io_burns_an_attempt_and_the_twelfth_is_the_last() {
    let (handler, world) = handler();
    world.submits.lock().unwrap().push_back(SubmitAnswer::Retryable);
    assert_eq!(dispatch(&handler, json!({})).await, End::Ack.into());
    assert!(retry(&world).1);
    *world.history.lock().unwrap() = History { failures: 11, ..History::default() };
    world.profiles.lock().unwrap().push_back(ProfileAnswer::Retryable);
    let verdict = dispatch(&handler, json!({})).await;
    assert_eq!(outcome(&verdict), ("messaggio.fallito", json!({"codice": "attempts"})));
    assert!(matches!(verdict.end, End::Dead { code: "attempts", .. }), "{:?}", verdict.end);
}

#[tokio::test(start_paused = true)]
async fn metrics_count_what_was_recorded_and_not_what_is_told_again() {
    let (handler, world) = handler();
    let fields = || json!({"livello": "ADVANCED", "accolto_ms": 0});
    dispatch(&handler, fields()).await;
    let sent = world.settlements().remove(0);
    world.fences.lock().unwrap().push_back(Ok(Fence::Settled(sent)));
    dispatch(&handler, fields()).await;
    let metrics = &handler.parts.metrics;
    let messages = ["borgochiaro", "alloggi-protocollo", "inviato"];
    assert_eq!(metrics.fleet.messages.with_label_values(&messages).get(), 1);
    assert_eq!(
        metrics.own.premium_messages.with_label_values(&["borgochiaro", "promemoria-appuntamento"]).get(),
        1
    );
    assert_eq!(metrics.own.end_to_end.with_label_values(&["alloggi-protocollo"]).get_sample_count(), 1);
    assert_eq!(metrics.own.sent_lag.with_label_values(&["borgochiaro"]).get_sample_count(), 1);
    assert_eq!(metrics.own.io_requests.with_label_values(&["borgochiaro", "get_profile", "200"]).get(), 2);
    assert_eq!(metrics.own.io_requests.with_label_values(&["borgochiaro", "submit_message", "200"]).get(), 1);
}
