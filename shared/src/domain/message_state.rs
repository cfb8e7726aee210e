//! The states of one message, and the one function that moves it.
//!
//! The store's scripts do the same in Redis, atomically and for all processes: a test drives both through
//! the same steps and compares them after each (`tests/tests/ports/messages.rs`). The picture in
//! docs/ARCHITECTURE.md is drawn from [`diagram::TRANSITIONS`].

pub mod diagram;
#[cfg(test)]
mod tests;

/// How often a message was emitted and failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Count {
    /// Number of the last emission, from 1; 0 if there was none. What comes from an older one is stale.
    pub emission: u32,
    /// Tries that failed and count.
    pub failures: u32,
    /// It is sent again after a doubt, which happens by policy at most once.
    pub again: bool,
    /// Its last emission made a call of IO that failed. Known until a request leaves.
    pub called: bool,
}

/// How far a message has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for its instant.
    Armed(Count),
    /// Somewhere between scheduler and fence.
    Emitted(Count),
    /// The request may leave at any moment, made by the try of this token.
    Leaving(Count, String),
    /// It may have been sent. `gives_up`: when it is due it is given up, not sent again.
    Doubt {
        /// Emissions and failures.
        count: Count,
        /// Bounded name of what was seen.
        why: String,
        /// Policy `expire`.
        gives_up: bool,
    },
    /// Final.
    Over(End),
}

/// How a message ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum End {
    /// IO made it.
    Sent {
        /// `STANDARD` or `ADVANCED`.
        level: String,
        /// Empty if the answer was broken.
        io_id: String,
    },
    /// Nobody knows, and policy `assume_sent` takes it as sent. The level is empty where it is not known.
    Assumed {
        /// `STANDARD`, `ADVANCED` or empty.
        level: String,
        /// The emission that may have been sent.
        emission: u32,
    },
    /// Not sent: `annullato`, `scartato|<motivo>`, `fallito|<codice>`.
    NotSent(String),
}

/// A message in its state, and where the schedule has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Message {
    /// Its state.
    pub state: State,
    /// It waits in the schedule.
    pub due: bool,
    /// Somebody holds its lease.
    pub in_flight: bool,
    /// Operators see it among the doubts.
    pub shown: bool,
}

/// What happens to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Planning moves it to another instant.
    Moved,
    /// Planning cancels it.
    Cancelled,
    /// A scheduler claims it from the schedule.
    Claimed,
    /// A scheduler finds that its lease ended.
    LeaseEnded,
    /// A dispatcher asks to send this emission, with the token of its try.
    Fenced(u32, String),
    /// A scheduler or dispatcher says what came of this emission.
    Settled(u32, Outcome),
    /// A dispatcher ends a try of this emission that never passed the fence: again, or not sent. It may be a copy
    /// of a delivery whose request has left.
    TurnedBack(u32, Outcome),
    /// The try of this token passed the fence and did not send after all. Another's try stands: after a loss of
    /// the store two tries of one emission may have passed.
    Withdrawn(u32, String),
    /// An operator sends it again.
    Resent,
    /// An operator gives it up, with the code.
    Dropped(String),
}

/// What came of an emission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// IO made it: level and id.
    Sent(String, String),
    /// Policy `assume_sent`: level.
    Assumed(String),
    /// It is not sent: `scartato|<motivo>` or `fallito|<codice>`.
    NotSent(String),
    /// Nobody knows: why, and what happens next.
    Unknown(String, Next),
    /// Due again.
    Again {
        /// It counts as a failure.
        counts: bool,
        /// A call was made and failed.
        called: bool,
    },
}

/// What happens next to a message in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// An operator decides.
    Held,
    /// It is sent again, unless it was before: then an operator decides.
    SentAgain,
    /// It is given up when it is due.
    GivenUp,
}

/// The event does not concern the message as it stands; nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

impl Default for Message {
    /// Armed and in the schedule, never emitted.
    fn default() -> Self {
        Self { state: State::Armed(Count::default()), due: true, in_flight: false, shown: false }
    }
}

impl Message {
    /// The message after an event.
    ///
    /// # Errors
    /// [`Refused`] where the event comes too late, or too early.
    pub fn on(&self, event: &Event) -> Result<Self, Refused> {
        match event {
            Event::Moved => match &self.state {
                State::Armed(count) | State::Emitted(count) => Ok(Self::armed(*count)),
                State::Leaving(..) | State::Doubt { .. } | State::Over(_) => Err(Refused),
            },
            Event::Cancelled => match &self.state {
                State::Armed(_) | State::Emitted(_) => Ok(Self::over(End::NotSent("annullato".to_owned()))),
                State::Leaving(..) | State::Doubt { .. } | State::Over(_) => Err(Refused),
            },
            Event::Claimed if self.due => Ok(self.claimed()),
            Event::LeaseEnded if self.in_flight => Ok(self.lease_ended()),
            Event::Claimed | Event::LeaseEnded => Err(Refused),
            Event::Fenced(emission, token) => self.fenced(*emission, token),
            Event::Settled(emission, outcome) => self.settled(*emission, outcome),
            Event::TurnedBack(emission, outcome) => match &self.state {
                State::Emitted(_) => self.settled(*emission, outcome),
                State::Armed(_) | State::Leaving(..) | State::Doubt { .. } | State::Over(_) => Err(Refused),
            },
            Event::Withdrawn(emission, token) => match &self.state {
                State::Leaving(count, by) if count.emission == *emission && by == token => {
                    Ok(Self::armed(*count))
                }
                State::Armed(_)
                | State::Emitted(_)
                | State::Leaving(..)
                | State::Doubt { .. }
                | State::Over(_) => Err(Refused),
            },
            Event::Resent => match &self.state {
                State::Doubt { count, .. } => Ok(Self::armed(Count { again: true, ..*count })),
                State::Armed(_) | State::Emitted(_) | State::Leaving(..) | State::Over(_) => Err(Refused),
            },
            Event::Dropped(code) => match &self.state {
                State::Doubt { .. } => Ok(Self::over(End::NotSent(format!("fallito|{code}")))),
                State::Armed(_) | State::Emitted(_) | State::Leaving(..) | State::Over(_) => Err(Refused),
            },
        }
    }

    fn armed(count: Count) -> Self {
        Self { state: State::Armed(count), ..Self::default() }
    }

    fn over(end: End) -> Self {
        Self { state: State::Over(end), due: false, in_flight: false, shown: false }
    }

    fn claimed(&self) -> Self {
        let emitted = |count: Count, again: bool| Self {
            state: State::Emitted(Count { emission: count.emission + 1, again, ..count }),
            due: false,
            in_flight: true,
            shown: false,
        };
        match &self.state {
            State::Armed(count) | State::Emitted(count) => emitted(*count, count.again),
            State::Doubt { count, gives_up: false, .. } => emitted(*count, true),
            State::Doubt { gives_up: true, .. } => Self { due: false, in_flight: true, ..self.clone() },
            State::Leaving(..) | State::Over(_) => Self { due: false, ..self.clone() },
        }
    }

    fn lease_ended(&self) -> Self {
        match &self.state {
            // It stays in flight until the scheduler has ruled on it.
            State::Leaving(count, _) => Self {
                state: State::Doubt { count: *count, why: "lease-ended".to_owned(), gives_up: false },
                shown: true,
                ..self.clone()
            },
            State::Doubt { .. } => Self { shown: true, ..self.clone() },
            State::Armed(_) | State::Emitted(_) => Self { due: true, in_flight: false, ..self.clone() },
            State::Over(_) => Self { in_flight: false, ..self.clone() },
        }
    }

    fn fenced(&self, emission: u32, token: &str) -> Result<Self, Refused> {
        let count = match &self.state {
            State::Emitted(count) if count.emission == emission => *count,
            // The same try repeats its question: the first answer was lost.
            State::Leaving(count, by) if count.emission == emission && by == token => *count,
            State::Armed(_)
            | State::Emitted(_)
            | State::Leaving(..)
            | State::Doubt { .. }
            | State::Over(_) => return Err(Refused),
        };
        let state = State::Leaving(Count { called: false, ..count }, token.to_owned());
        Ok(Self { state, due: false, in_flight: true, ..self.clone() })
    }

    fn settled(&self, emission: u32, outcome: &Outcome) -> Result<Self, Refused> {
        if let Outcome::Sent(level, io_id) = outcome
            && self.is_open_to_news_of(emission)
        {
            return Ok(Self::over(End::Sent { level: level.clone(), io_id: io_id.clone() }));
        }
        let count = match &self.state {
            State::Emitted(count) | State::Leaving(count, _) | State::Doubt { count, .. } => *count,
            State::Armed(_) | State::Over(_) => return Err(Refused),
        };
        if count.emission != emission {
            return Err(Refused);
        }
        Ok(match outcome {
            Outcome::Sent(level, io_id) => {
                Self::over(End::Sent { level: level.clone(), io_id: io_id.clone() })
            }
            Outcome::Assumed(level) => Self::over(End::Assumed { level: level.clone(), emission }),
            Outcome::NotSent(what) => Self::over(End::NotSent(what.clone())),
            Outcome::Again { counts, called } => Self::armed(Count {
                failures: count.failures + u32::from(*counts),
                called: *called || count.called,
                ..count
            }),
            Outcome::Unknown(why, next) => Self::in_doubt(count, why, *next),
        })
    }

    /// That IO made it is true whoever says it: a copy that has not left need not leave any more, and what
    /// was assumed is known.
    fn is_open_to_news_of(&self, emission: u32) -> bool {
        match &self.state {
            State::Armed(count) | State::Emitted(count) => count.again && emission <= count.emission,
            State::Over(End::Assumed { emission: assumed, .. }) => *assumed == emission,
            State::Leaving(..) | State::Doubt { .. } | State::Over(_) => false,
        }
    }

    fn in_doubt(count: Count, why: &str, next: Next) -> Self {
        let gives_up = next == Next::GivenUp;
        let due = gives_up || (next == Next::SentAgain && !count.again);
        Self {
            state: State::Doubt { count: Count { called: false, ..count }, why: why.to_owned(), gives_up },
            due,
            in_flight: false,
            shown: gives_up || !due,
        }
    }
}
