//! The table against the function, and what must hold in every state that can be reached.

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::diagram::{TRANSITIONS, mermaid};
use super::*;

const TOKENS: [&str; 2] = ["one", "two"];

fn name(state: &State) -> &'static str {
    match state {
        State::Armed(_) => "Armed",
        State::Emitted(_) => "Emitted",
        State::Leaving(..) => "Leaving",
        State::Doubt { .. } => "Doubt",
        State::Over(_) => "Over",
    }
}

/// The word of the table for an event that was not refused.
fn word(before: &Message, event: &Event) -> &'static str {
    match event {
        Event::Moved => "moved",
        Event::Cancelled => "cancelled",
        Event::Claimed => "claimed",
        Event::LeaseEnded => "lease ended",
        Event::Fenced(..) => "fenced",
        Event::Withdrawn(..) => "again",
        Event::Resent => "resent",
        Event::Dropped(_) => "ended",
        Event::Settled(emission, outcome) | Event::TurnedBack(emission, outcome) => match outcome {
            Outcome::Sent(..) if before.is_open_to_news_of(*emission) => "sent after all",
            Outcome::Sent(..) | Outcome::Assumed(_) | Outcome::NotSent(_) => "ended",
            Outcome::Unknown(..) => "unknown",
            Outcome::Again { .. } => "again",
        },
    }
}

/// Everything that can happen to a message of up to `emissions` emissions, in any order.
fn events(emissions: u32) -> Vec<Event> {
    let text = str::to_owned;
    let mut events = vec![Event::Moved, Event::Cancelled, Event::Claimed, Event::LeaseEnded, Event::Resent];
    events.push(Event::Dropped(text("in-doubt-dropped")));
    for emission in 1..=emissions {
        events.extend(TOKENS.map(|token| Event::Fenced(emission, text(token))));
        events.extend(TOKENS.map(|token| Event::Withdrawn(emission, text(token))));
        let outcomes = [
            Outcome::Sent(text("STANDARD"), text("IO")),
            Outcome::Assumed(text("STANDARD")),
            Outcome::NotSent(text("scartato|annullato")),
            Outcome::Unknown(text("timeout"), Next::Held),
            Outcome::Unknown(text("timeout"), Next::SentAgain),
            Outcome::Unknown(text("timeout"), Next::GivenUp),
            Outcome::Again { counts: false, called: false },
            Outcome::Again { counts: true, called: true },
        ];
        events.extend(outcomes.map(|outcome| Event::Settled(emission, outcome)));
        let turned_back =
            [Outcome::NotSent(text("scartato|annullato")), Outcome::Again { counts: false, called: false }];
        events.extend(turned_back.map(|outcome| Event::TurnedBack(emission, outcome)));
    }
    events
}

fn count(state: &State) -> Count {
    match state {
        State::Armed(count)
        | State::Emitted(count)
        | State::Leaving(count, _)
        | State::Doubt { count, .. } => *count,
        State::Over(_) => Count::default(),
    }
}

/// Every message that can come about within so many emissions and failures, with each step between two.
fn steps(emissions: u32) -> Vec<(Message, Event, Message)> {
    let events = events(emissions);
    let mut waiting = VecDeque::from([Message::default()]);
    let mut seen = HashSet::from([Message::default()]);
    let mut steps = Vec::new();
    while let Some(message) = waiting.pop_front() {
        for event in &events {
            let Ok(next) = message.on(event) else { continue };
            steps.push((message.clone(), event.clone(), next.clone()));
            let count = count(&next.state);
            if count.emission <= emissions && count.failures <= 1 && seen.insert(next.clone()) {
                waiting.push_back(next);
            }
        }
    }
    steps
}

#[test]
fn the_table_holds_every_transition_and_no_other() {
    let drawn: BTreeSet<(&str, &str, &str)> = TRANSITIONS.into_iter().collect();
    assert_eq!(drawn.len(), TRANSITIONS.len(), "each once");
    let found: BTreeSet<(&str, &str, &str)> = steps(3)
        .iter()
        .filter(|(before, event, after)| before.state != after.state || is_loop(before, event))
        .map(|(before, event, after)| (name(&before.state), name(&after.state), word(before, event)))
        .collect();
    assert_eq!(found, drawn);
}

/// Loops that are drawn although the state may stay the same.
fn is_loop(before: &Message, event: &Event) -> bool {
    matches!(
        (&before.state, event),
        (State::Armed(_), Event::Moved) | (State::Leaving(..), Event::Fenced(..))
    )
}

#[test]
fn nothing_is_lost_and_nothing_is_in_two_places() {
    for (before, event, after) in steps(3) {
        let step = format!("{before:?} {event:?} {after:?}");
        match &after.state {
            State::Armed(_) => assert!(after.due && !after.in_flight && !after.shown, "{step}"),
            State::Emitted(_) => assert!(after.due != after.in_flight && !after.shown, "{step}"),
            State::Leaving(..) => assert!(after.in_flight && !after.due && !after.shown, "{step}"),
            State::Doubt { .. } => {
                assert!(after.shown || after.due || after.in_flight, "{step}");
                assert!(!(after.due && after.in_flight), "{step}");
            }
            State::Over(_) => assert!(!(after.due || after.in_flight || after.shown), "{step}"),
        }
    }
}

#[test]
fn an_end_stands_but_for_an_assumption_that_is_confirmed() {
    for (before, event, after) in steps(3) {
        if let State::Over(end) = &before.state
            && before.state != after.state
        {
            assert!(matches!(end, End::Assumed { .. }), "{event:?}");
            assert!(matches!(after.state, State::Over(End::Sent { .. })), "{event:?}");
        }
    }
}

#[test]
fn whatever_may_have_left_leaves_again_only_after_a_doubt_that_was_seen() {
    // Out of `Leaving` to anything that can be emitted leads only the word of the try itself (`again`: IO
    // made nothing of it, or was not asked); a doubt can be emitted once more, and says so for ever after.
    for (before, event, after) in steps(3) {
        let step = format!("{before:?} {event:?} {after:?}");
        let may_go = matches!(after.state, State::Armed(_) | State::Emitted(_));
        match &before.state {
            State::Leaving(own, by) if may_go => {
                let said = match &event {
                    Event::Settled(emission, Outcome::Again { .. }) => *emission == own.emission,
                    Event::Withdrawn(emission, token) => *emission == own.emission && token == by,
                    _ => false,
                };
                assert!(said, "{step}");
            }
            State::Doubt { count: own, .. } if may_go => {
                let said = matches!(&event, Event::Settled(emission, Outcome::Again { .. }) if *emission == own.emission);
                assert!(said || count(&after.state).again, "{step}");
            }
            State::Armed(own) | State::Emitted(own) if may_go => {
                assert!(!own.again || count(&after.state).again, "{step}");
            }
            _ => {}
        }
    }
}

#[test]
fn by_policy_it_is_sent_again_once() {
    for (before, event, after) in steps(4) {
        if let (State::Doubt { count, gives_up: false, .. }, Event::Claimed) = (&before.state, &event) {
            assert!(!count.again, "{before:?} {after:?}");
        }
    }
}

#[test]
fn the_picture_in_the_architecture_is_this_one() {
    let page = include_str!("../../../../docs/ARCHITECTURE.md");
    let picture = format!("```mermaid\n{}```\n", mermaid());
    assert!(page.contains(&picture), "docs/ARCHITECTURE.md must hold:\n{picture}");
}
