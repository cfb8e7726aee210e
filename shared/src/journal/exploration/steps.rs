//! What can happen.

use super::Fleet;
use super::dispatch::of_copy;
use super::world::{Answer, At, Copy, Line, USEFUL_UNTIL_MS, Word, World};
use crate::domain::catalogue::Ruling;
use crate::domain::message_state::{Count, End, Event, Message, Next, Outcome, State};

/// One step of one of those who act. The numbers are places among the copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// A scheduler claims what is due, and dies before it publishes or not.
    Claim {
        is_published: bool,
    },
    LeaseEnds,
    /// A scheduler rules on a doubt that it found.
    Rule,
    /// A dispatcher ends a delivery before the fence: for good, or for now.
    TurnBack(usize, bool),
    Fence(usize),
    /// The intent's line is confirmed, or not, and then it may be there or not.
    Write(usize, Confirm),
    AskAgain(usize),
    /// The request leaves. IO makes it or not, and answers.
    Leave(usize, bool, Answer),
    Settle(usize),
    /// The outcome is confirmed and the delivery acknowledged, or the dispatcher dies between the two.
    Tell(usize, bool),
    /// The dispatcher dies, or loses the delivery before it did anything.
    Crash(usize),
    /// The delivery is lost and comes again, while the try goes on.
    Redeliver(usize),
    Cancel,
    Move,
    Resend,
    Drop,
    /// A copy of Redis is kept.
    Save,
    /// Redis comes back as that copy, or empty.
    Lose,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Confirm {
    Yes,
    TooLate,
    Never,
}

impl World {
    /// What can happen now.
    pub(super) fn steps(&self, steps: &mut Vec<Step>) {
        let (ledger, budget) = (&self.ledger, self.budget);
        if ledger.due && budget.emissions > 0 {
            steps.push(Step::Claim { is_published: true });
            if budget.crashes > 0 {
                steps.push(Step::Claim { is_published: false });
            }
        }
        if matches!(ledger.state, State::Doubt { .. }) && ledger.in_flight {
            steps.push(Step::Rule);
        }
        if ledger.in_flight && budget.leases > 0 {
            steps.push(Step::LeaseEnds);
        }
        for (place, copy) in self.copies.iter().enumerate() {
            of_copy(place, copy.at, steps);
            if budget.crashes > 0 && copy.at != At::Queued {
                steps.extend([Step::Crash(place), Step::Redeliver(place)]);
                if matches!(copy.at, At::Telling { .. }) {
                    steps.push(Step::Tell(place, false));
                }
            }
        }
        if budget.plans > 0 {
            steps.extend([Step::Cancel, Step::Move]);
        }
        if budget.rulings > 0 && ledger.shown && matches!(ledger.state, State::Doubt { .. }) {
            steps.extend([Step::Resend, Step::Drop]);
        }
        if budget.losses > 0 {
            steps.push(Step::Lose);
            if self.saved.is_none() {
                steps.push(Step::Save);
            }
        }
    }

    /// The world after a step; none if it changed nothing.
    pub(super) fn after(&self, step: Step, fleet: Fleet) -> Option<Self> {
        let mut world = self.clone();
        match step {
            Step::Claim { is_published } => world.claim(is_published)?,
            Step::LeaseEnds => {
                world.budget.leases -= 1;
                world.ledger = self.ledger.on(&Event::LeaseEnded).ok()?;
            }
            Step::Rule => world.rule()?,
            Step::Cancel => world.change(&Event::Cancelled, Line::Cancelled),
            Step::Move => world.change(&Event::Moved, Line::Moved),
            Step::Resend => {
                world.budget.rulings -= 1;
                world.ledger = self.ledger.on(&Event::Resent).ok()?;
                // Who decides on a doubt knows of it.
                world.told.doubt = true;
            }
            Step::Drop => {
                world.budget.rulings -= 1;
                world.ledger = self.ledger.on(&Event::Dropped("in-doubt-dropped".to_owned())).ok()?;
                world.tell(Word::GivenUp);
            }
            Step::Save => world.saved = Some((self.ledger.clone(), self.journal.len())),
            Step::Lose => world.lose(fleet),
            Step::TurnBack(place, ..)
            | Step::Fence(place)
            | Step::Write(place, _)
            | Step::AskAgain(place)
            | Step::Leave(place, ..)
            | Step::Settle(place)
            | Step::Tell(place, _)
            | Step::Crash(place)
            | Step::Redeliver(place) => {
                let copy = world.copies.remove(place);
                world.dispatch(copy, step, fleet);
            }
        }
        world.copies.sort_unstable();
        if world.budget.losses == 0 {
            // Nobody will read them.
            world.journal.clear();
            world.saved = None;
        }
        Some(world)
    }

    fn claim(&mut self, is_published: bool) -> Option<()> {
        self.ledger = self.ledger.on(&Event::Claimed).ok()?;
        if let State::Emitted(Count { emission, .. }) = self.ledger.state {
            self.budget.emissions -= 1;
            if is_again(&self.ledger) {
                self.tell(Word::Doubt(1));
            }
            if self.most_made.is_some() && emission > 1 {
                // The case is looked at again.
                self.ledger = self.ledger.on(&Event::Cancelled).ok()?;
                self.tell(Word::Discarded);
            }
            if is_published {
                self.copies.push(Copy { emission, at: At::Queued });
            } else {
                self.budget.crashes -= 1;
            }
        }
        Some(())
    }

    /// What a scheduler does with a doubt: it tells, then settles.
    fn rule(&mut self) -> Option<()> {
        let State::Doubt { count, gives_up, .. } = self.ledger.state.clone() else { return None };
        let (outcome, word) = if gives_up {
            (Outcome::NotSent("fallito|in-doubt-expired".to_owned()), Word::GivenUp)
        } else {
            self.doubt(count.again)
        };
        self.ledger = self.ledger.on(&Event::Settled(count.emission, outcome)).ok()?;
        self.tell(word);
        Some(())
    }

    /// What a doubt comes to by policy.
    pub(super) fn doubt(&self, again: bool) -> (Outcome, Word) {
        let doubts = u32::from(again);
        let next = match self.policy.ruling(doubts, Some(USEFUL_UNTIL_MS)) {
            Ruling::AssumeSent => return (Outcome::Assumed("STANDARD".to_owned()), Word::Assumed),
            Ruling::Hold => Next::Held,
            Ruling::Resend => Next::SentAgain,
            Ruling::ExpireAt(_) => Next::GivenUp,
        };
        (Outcome::Unknown("timeout".to_owned(), next), Word::Doubt(doubts + 1))
    }

    fn change(&mut self, event: &Event, line: Line) {
        self.budget.plans -= 1;
        let is_doubted = self.told.doubt || is_again(&self.ledger);
        if line == Line::Cancelled {
            // What is leaving is left alone, and may still be made.
            let leaving = u8::from(matches!(
                self.ledger.state,
                State::Leaving(..) | State::Doubt { .. } | State::Over(End::Assumed { .. })
            ));
            self.most_made = Some(if is_doubted { u8::MAX } else { self.made.all() + leaving });
        }
        if let Ok(ledger) = self.ledger.on(event) {
            self.ledger = ledger;
        }
        self.journal.push(line);
    }

    fn lose(&mut self, fleet: Fleet) {
        self.budget.losses -= 1;
        let (copy, known) = self.saved.take().unwrap_or_default();
        self.ledger = if fleet.has_journal { self.rebuilt(&copy, known) } else { copy };
        for copy in &mut self.copies {
            if let At::Fenced { rebuilt, .. } | At::Telling { rebuilt, .. } = &mut copy.at {
                *rebuilt = true;
            }
        }
    }

    pub(super) fn tell(&mut self, word: Word) {
        match word {
            Word::Sent | Word::Assumed => self.told.sent = true,
            Word::Doubt(_) => self.told.doubt = true,
            Word::Failed | Word::Discarded => self.told.failed = true,
            // Its code says that it may have been sent.
            Word::GivenUp => (self.told.failed, self.told.doubt) = (true, true),
        }
        let line = Line::Told(word);
        // An end that is told again says nothing new.
        if matches!(word, Word::Doubt(_)) || !self.journal.contains(&line) {
            self.journal.push(line);
        }
    }
}

pub(super) fn is_again(message: &Message) -> bool {
    match &message.state {
        State::Armed(count)
        | State::Emitted(count)
        | State::Leaving(count, _)
        | State::Doubt { count, .. } => count.again,
        State::Over(_) => false,
    }
}
