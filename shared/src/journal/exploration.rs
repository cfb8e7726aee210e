//! One message and the world around it, in every interleaving: schedulers that claim and die, dispatchers
//! that are killed, cut off and held up between any two steps, deliveries that come twice, answers that are
//! lost, a plan that changes, an operator, and a Redis that comes back empty or as an old copy.
//!
//! The ledger in it is [`Message::on`], which Redis is held against (`tests/tests/ports/messages.rs`), and what
//! the journal brings back is decided by `recall`, as in a rebuild. Left out: how long things take. A lease may
//! end at any moment here, also under a dispatcher that will still send; that a gateway lets go of a request
//! before it is sent again (`io.resend_after`) is taken for granted. Redis is lost once at most while a message is on
//! its way: where a second loss comes within the 5 s that the line of an intent may take, what the first one undid may
//! come back, and with it a second copy.
//!
//! - `world`: what there is. `steps`: what can happen; `dispatch`: with a delivery.

mod dispatch;
mod steps;
mod world;

use std::collections::HashSet;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

use self::steps::Step;
use self::world::{Budget, World};
use super::recall;
use crate::domain::catalogue::InDubbio;
use crate::domain::message_state::{End, Message, State};

/// The fleet, and what of it is taken away to see that the exploration would notice.
#[derive(Clone, Copy)]
struct Fleet {
    budget: Budget,
    /// Nothing leaves without the fence's word.
    has_fence: bool,
    /// A rebuild reads the journal.
    has_journal: bool,
    /// What was told late is recorded once more.
    records_again: bool,
}

impl Fleet {
    /// With nothing taken away.
    const fn whole(budget: Budget) -> Self {
        Self { budget, has_fence: true, has_journal: true, records_again: true }
    }
}

const fn budget([emissions, crashes, leases, losses, rulings, plans]: [u8; 6]) -> Budget {
    Budget { emissions, crashes, leases, losses, rulings, plans }
}

/// So much goes wrong with one message, and no more: each exploration ends, within seconds.
const IN_EVERY_RUN: [Budget; 4] =
    [budget([2, 1, 1, 1, 0, 0]), budget([2, 1, 1, 0, 1, 1]), budget([3, 1, 2, 0, 1, 0]), LOST_ALONE];
/// Nothing goes wrong but that Redis is lost.
const LOST_ALONE: Budget = budget([2, 0, 0, 1, 0, 1]);
/// Millions of states, some minutes optimised: `make explore`.
const AT_LENGTH: [Budget; 4] = [
    budget([2, 1, 1, 1, 1, 1]),
    budget([2, 2, 1, 1, 0, 0]),
    budget([3, 2, 2, 0, 1, 1]),
    budget([3, 0, 0, 1, 1, 1]),
];

const ONCE: &str = "IO makes it once, but for a repetition that a doubt announced";
const OVER: &str = "what was told as sent is over, if nobody died or was late over it";
const WHOLE: &str = "a ledger that is whole is not changed by its own journal";

impl Model for Fleet {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        InDubbio::ALL.map(|(_, policy)| World::new(policy, self.budget)).into()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Step>) {
        world.steps(actions);
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        world.after(step, *self)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, world: &World| world.made.unannounced <= 1),
            Property::always(WHOLE, |_, world: &World| {
                world.is_between_line_and_fence() || world.superseded_was_sent || world.stands()
            }),
            Property::always(
                "it is over, or it waits where a scheduler or an operator finds it",
                |_, world: &World| {
                    let Message { state, due, in_flight, shown } = &world.ledger;
                    matches!(state, State::Over(_)) || *due || *in_flight || *shown
                },
            ),
            Property::always("what ended as sent was sent", |_, world: &World| {
                !matches!(&world.ledger.state, State::Over(End::Sent { io_id, .. }) if !io_id.is_empty())
                    || world.made.all() > 0
            }),
            Property::always("what IO made is told, as sent or as a doubt", |_, world: &World| {
                let is_at_rest = world.copies.is_empty() && matches!(world.ledger.state, State::Over(_));
                !is_at_rest || world.made.all() == 0 || world.told.sent || world.told.doubt
            }),
            Property::always("a doubt that rests with an operator was told", |_, world: &World| {
                let Message { state, due, in_flight, .. } = &world.ledger;
                let is_at_rest = world.copies.is_empty() && !due && !in_flight;
                !is_at_rest || !matches!(state, State::Doubt { .. }) || world.told.doubt
            }),
            Property::always(OVER, |fleet: &Self, world: &World| {
                let is_told = world.told.sent && !world.told.doubt;
                let is_over = matches!(world.ledger.state, State::Over(_));
                let Budget { crashes, leases, .. } = fleet.budget;
                crashes > 0 || leases > 0 || !is_told || !world.copies.is_empty() || is_over
            }),
            Property::always(
                "what was taken back without a doubt does not leave any more",
                |_, world: &World| world.most_made.is_none_or(|most| world.made.all() <= most),
            ),
            Property::sometimes("it is sent", |_, world: &World| world.told.sent && world.copies.is_empty()),
            Property::sometimes("a repetition after a doubt makes two", |_, world: &World| {
                world.made.all() == 2
            }),
            Property::sometimes("a late answer closes a doubt", |_, world: &World| {
                world.told.doubt && matches!(world.ledger.state, State::Over(End::Sent { .. }))
            }),
            Property::sometimes("an operator gives it up", |_, world: &World| {
                world.budget.rulings == 0 && world.told.failed && world.told.doubt
            }),
            Property::sometimes("a rebuild knows that it may have left", |_, world: &World| {
                world.budget.losses == 0 && matches!(world.ledger.state, State::Leaving(..))
            }),
        ]
    }
}

fn explored(budget: Budget) -> usize {
    let fleet = Fleet::whole(budget);
    let checker = fleet.checker().threads(2).spawn_bfs().join();
    for property in fleet.properties() {
        let found = checker.discovery(property.name).map(stateright::Path::into_actions);
        match property.expectation {
            Expectation::Always => assert!(found.is_none(), "{budget:?}: {}: {found:?}", property.name),
            // With little to go wrong not everything that may happen does.
            Expectation::Sometimes | Expectation::Eventually => {}
        }
    }
    checker.unique_state_count()
}

#[test]
fn whatever_goes_wrong_nothing_is_lost_and_nothing_goes_twice_unannounced() {
    let at_length = std::env::var_os("PROMEMORIA_EXPLORE").is_some();
    let budgets = if at_length { &AT_LENGTH[..] } else { &IN_EVERY_RUN[..] };
    let states: Vec<usize> = budgets.iter().copied().map(explored).collect();
    eprintln!("explored {states:?} states");
    // By order of magnitude as many as when this was written: fewer means that steps are missing.
    assert!(states.iter().sum::<usize>() > 200_000, "{states:?}");
}

#[test]
fn what_may_happen_does() {
    let budget = budget([2, 1, 1, 1, 1, 0]);
    let fleet = Fleet::whole(budget);
    let all: HashSet<&'static str> = fleet
        .properties()
        .into_iter()
        .filter(|property| matches!(property.expectation, Expectation::Sometimes))
        .map(|property| property.name)
        .collect();
    let found = fleet.checker().threads(2).finish_when(HasDiscoveries::AllOf(all.iter().copied().collect()));
    let found = found.spawn_bfs().join();
    for name in all {
        assert!(found.discovery(name).is_some(), "never: {name}");
    }
}

#[test]
fn without_the_fence_or_the_journal_it_goes_twice() {
    for (has_fence, has_journal) in [(false, true), (true, false)] {
        let fleet = Fleet { has_fence, has_journal, ..Fleet::whole(IN_EVERY_RUN[0]) };
        let checker = fleet.checker().finish_when(HasDiscoveries::AnyOf([ONCE].into())).spawn_bfs().join();
        assert!(checker.discovery(ONCE).is_some(), "fence {has_fence}, journal {has_journal}");
    }
}

#[test]
fn unless_what_is_told_late_is_recorded_again_it_may_stay_open() {
    let fleet = Fleet { records_again: false, ..Fleet::whole(LOST_ALONE) };
    let checker = fleet.checker().finish_when(HasDiscoveries::AnyOf([OVER].into())).spawn_bfs().join();
    assert!(checker.discovery(OVER).is_some());
}
