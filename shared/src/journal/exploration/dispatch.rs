//! What a dispatcher does with a delivery, and what can happen to it there.

use super::Fleet;
use super::steps::{Confirm, Step, is_again};
use super::world::{Answer, At, By, Copy, Line, Word, World};
use crate::domain::message_state::{End, Event, Outcome, State};

impl World {
    /// A dispatcher's step with a delivery; where it is put back it goes on.
    pub(super) fn dispatch(&mut self, copy: Copy, step: Step, fleet: Fleet) {
        let next = match (copy.at, step) {
            (_, Step::Crash(_)) => {
                self.budget.crashes -= 1;
                Some(At::Queued)
            }
            (at, Step::Redeliver(_)) => {
                self.budget.crashes -= 1;
                self.copies.push(Copy { at: At::Queued, ..copy });
                Some(at)
            }
            (_, Step::TurnBack(_, for_good)) => self.turn_back(copy.emission, for_good),
            (_, Step::Fence(_)) => self.fence(copy.emission, fleet),
            (At::Fenced { token, again, place, rebuilt }, Step::Write(_, confirm)) => {
                if confirm != Confirm::Never {
                    self.enter(place, Line::Intent(copy.emission, token));
                }
                let next = if rebuilt { At::Asks { token } } else { At::Ready { again } };
                self.written(copy.emission, (token, confirm), next)
            }
            (At::Asks { token }, Step::AskAgain(_)) => match self.ask(copy.emission, token) {
                Ok(again) => Some(At::Ready { again }),
                Err(next) => next,
            },
            (At::Ready { again }, Step::Leave(_, is_made, answer)) => {
                let made = if again { &mut self.made.announced } else { &mut self.made.unannounced };
                *made += u8::from(is_made);
                Some(At::Answered(answer))
            }
            (At::Answered(answer), Step::Settle(_)) => self.settle(copy.emission, answer),
            (At::Telling { word, by, rebuilt }, Step::Tell(_, is_acknowledged)) => {
                self.tell(word);
                self.budget.crashes -= u8::from(!is_acknowledged);
                if is_acknowledged && rebuilt && fleet.records_again {
                    self.record_again(copy.emission, word, by);
                }
                (!is_acknowledged).then_some(At::Queued)
            }
            _ => Some(copy.at),
        };
        self.copies.extend(next.map(|at| Copy { at, ..copy }));
    }

    fn turn_back(&mut self, emission: u32, for_good: bool) -> Option<At> {
        let outcome = if for_good {
            Outcome::NotSent("scartato|annullato".to_owned())
        } else {
            Outcome::Again { counts: false, called: false }
        };
        match self.ledger.on(&Event::TurnedBack(emission, outcome)) {
            Ok(ledger) => {
                self.ledger = ledger;
                for_good.then_some(telling(Word::Discarded, By::TurningBack))
            }
            // Whoever left it in doubt may have died before it was told.
            Err(_) if self.is_in_doubt_of(emission) => self.settle(emission, Answer::Lost),
            Err(_) => self.ended(),
        }
    }

    fn is_in_doubt_of(&self, emission: u32) -> bool {
        matches!(&self.ledger.state, State::Doubt { count, .. } if count.emission == emission)
    }

    fn fence(&mut self, emission: u32, fleet: Fleet) -> Option<At> {
        let token = self.unused_token();
        match self.ask(emission, token) {
            Ok(again) => Some(At::Fenced { token, again, place: self.journal.len(), rebuilt: false }),
            Err(_) if !fleet.has_fence => Some(At::Ready { again: false }),
            Err(next) => next,
        }
    }

    /// Whether it may leave, and whether a doubt is known; else how the delivery goes on.
    fn ask(&mut self, emission: u32, token: u32) -> Result<bool, Option<At>> {
        if let Ok(ledger) = self.ledger.on(&Event::Fenced(emission, token.to_string())) {
            let State::Leaving(count, _) = &ledger.state else { return Err(None) };
            let again = count.again;
            self.ledger = ledger;
            return Ok(again);
        }
        // Its lease ended, and no scheduler need have ruled on it yet.
        Err(if self.is_in_doubt_of(emission) { self.settle(emission, Answer::Lost) } else { self.ended() })
    }

    /// A line whose time is past takes its place among the others.
    fn enter(&mut self, place: usize, line: Line) {
        let place = place.min(self.journal.len());
        self.journal.insert(place, line);
        if let Some((_, known)) = &mut self.saved
            && place < *known
        {
            *known += 1;
        }
    }

    fn written(&mut self, emission: u32, (token, confirm): (u32, Confirm), next: At) -> Option<At> {
        if confirm == Confirm::Yes {
            return Some(next);
        }
        if let Ok(ledger) = self.ledger.on(&Event::Withdrawn(emission, token.to_string())) {
            self.ledger = ledger;
            self.journal.push(Line::Released(emission));
        }
        None
    }

    /// Records what came of an emission; how the delivery goes on.
    fn settle(&mut self, emission: u32, answer: Answer) -> Option<At> {
        let again = is_again(&self.ledger);
        let (outcome, word) = match answer {
            Answer::Created => (Outcome::Sent("STANDARD".to_owned(), "01".to_owned()), Some(Word::Sent)),
            Answer::Lost => {
                let (outcome, word) = self.doubt(again);
                (outcome, Some(word))
            }
            Answer::Refused => (Outcome::NotSent("fallito|io".to_owned()), Some(Word::Failed)),
            Answer::Later => (Outcome::Again { counts: false, called: false }, None),
        };
        match self.ledger.on(&Event::Settled(emission, outcome)) {
            Ok(ledger) => {
                self.ledger = ledger;
                if answer == Answer::Later {
                    self.journal.push(Line::Released(emission));
                }
                word.map(|word| telling(word, By::Settling))
            }
            Err(_) if matches!(self.ledger.state, State::Over(_)) => self.ended(),
            // Made by an emission that was superseded: the ente hears of it all the same.
            Err(_) if answer == Answer::Created => {
                self.superseded_was_sent = true;
                Some(At::Telling { word: Word::Sent, by: None, rebuilt: false })
            }
            Err(_) => None,
        }
    }

    /// A delivery whose message is over tells its end again; any other is acknowledged.
    fn ended(&self) -> Option<At> {
        let State::Over(end) = &self.ledger.state else { return None };
        let word = match end {
            End::Sent { .. } => Word::Sent,
            End::Assumed { .. } => Word::Assumed,
            End::NotSent(what) if what.starts_with("fallito|in-doubt") => Word::GivenUp,
            End::NotSent(what) if what.starts_with("fallito") => Word::Failed,
            End::NotSent(_) => Word::Discarded,
        };
        // That it was made is true of whichever try. Any other end may be one of before a loss, since when the same
        // number was given to an emission that is leaving now.
        let by = if word == Word::Sent { By::Settling } else { By::TurningBack };
        Some(telling(word, by))
    }

    /// An end that was told late may stand behind the lines that a rebuild has read: it is recorded once more.
    fn record_again(&mut self, emission: u32, word: Word, by: Option<By>) {
        let outcome = match word {
            Word::Sent => Outcome::Sent("STANDARD".to_owned(), "01".to_owned()),
            Word::Assumed => Outcome::Assumed("STANDARD".to_owned()),
            Word::Discarded => Outcome::NotSent("scartato|annullato".to_owned()),
            Word::Failed => Outcome::NotSent("fallito|io".to_owned()),
            Word::GivenUp => Outcome::NotSent("fallito|in-doubt-dropped".to_owned()),
            // A rebuild takes it for in doubt anyway.
            Word::Doubt(_) => return,
        };
        let event = match by {
            Some(By::Settling) => Event::Settled(emission, outcome),
            Some(By::TurningBack) => Event::TurnedBack(emission, outcome),
            None => return,
        };
        if let Ok(ledger) = self.ledger.on(&event) {
            self.ledger = ledger;
        }
    }
}

fn telling(word: Word, by: By) -> At {
    At::Telling { word, by: Some(by), rebuilt: false }
}

/// What can happen with a copy, if all goes on.
pub(super) fn of_copy(place: usize, at: At, steps: &mut Vec<Step>) {
    match at {
        At::Queued => {
            steps.extend([Step::TurnBack(place, false), Step::TurnBack(place, true), Step::Fence(place)]);
        }
        At::Fenced { .. } => {
            steps.extend(
                [Confirm::Yes, Confirm::TooLate, Confirm::Never].map(|confirm| Step::Write(place, confirm)),
            );
        }
        At::Asks { .. } => steps.push(Step::AskAgain(place)),
        At::Ready { .. } => steps.extend([
            Step::Leave(place, true, Answer::Created),
            Step::Leave(place, true, Answer::Lost),
            Step::Leave(place, false, Answer::Lost),
            Step::Leave(place, false, Answer::Refused),
            Step::Leave(place, false, Answer::Later),
        ]),
        At::Answered(_) => steps.push(Step::Settle(place)),
        At::Telling { .. } => steps.push(Step::Tell(place, true)),
    }
}
