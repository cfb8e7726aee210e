//! The operator's commands against real brokers. What they print holds no personal datum: every record
//! they read here carries a canary.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

mod dead;
mod doctor;
mod doubts;
mod journal;
mod publish;
mod store;
mod trial;

use trial::Trial;

/// One test: the commands share the brokers, and the queue of what was given up is one.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_and_decides_without_a_personal_datum() {
    let trial = Trial::start().await;
    journal::the_journal_is_counted_kept_and_put_back(&trial).await;
    doubts::what_is_armed_and_in_doubt_is_shown_and_decided(&trial).await;
    dead::what_was_given_up_is_shown_and_decided(&trial).await;
    publish::good_events_are_published_and_bad_ones_hold_all_back(&trial).await;
    doctor::the_doctor_says_what_is_wrong(&trial).await;
    trial.brokers.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_is_away_ends_with_69() {
    let trial = trial::Nobody::new();
    for words in [
        &["timers", "--ente", trial::ENTE][..],
        &["dead", "list"],
        &["in-doubt", "list"],
        &["audit"],
        &["doctor"],
    ] {
        let ending = trial.run(words).await;
        assert_eq!(ending.code, 69, "{words:?}: {ending:?}");
    }
}
