//! What there is: the ledger, deliveries on their way, the journal, what IO made and what the ente was told.

use super::recall::{self, Choices, Standing};
use crate::domain::case::{Planned, Standing as Stands};
use crate::domain::catalogue::InDubbio;
use crate::domain::message_state::{Count, End, Event, Message, State};
use crate::journal::{Became, Intent, Told};
use crate::store::Restored;
use crate::store::progress::RawProgress;
use crate::wire::Level;

/// When everything happens: only orders count here.
const NOW_MS: i64 = 10_000;
/// After all else.
pub(super) const USEFUL_UNTIL_MS: i64 = 1_000_000;

/// How much may still go wrong, or otherwise than straight on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// Claims.
    pub(super) emissions: u8,
    /// Ends of processes and of connections.
    pub(super) crashes: u8,
    /// Leases that end.
    pub(super) leases: u8,
    /// Times that Redis loses something.
    pub(super) losses: u8,
    /// Decisions of an operator.
    pub(super) rulings: u8,
    /// Changes of the plan.
    pub(super) plans: u8,
}

/// What IO answered, as a dispatcher knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Answer {
    /// 201.
    Created,
    /// None that could be read.
    Lost,
    /// Not made, for good.
    Refused,
    /// Not made, this time.
    Later,
}

/// What is told of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Word {
    Sent,
    Assumed,
    /// Which doubt.
    Doubt(u32),
    Discarded,
    Failed,
    /// Failed as one that was in doubt.
    GivenUp,
}

/// How far a delivery of a dispatch request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum At {
    Queued,
    /// The fence said yes; the intent's line is not confirmed.
    Fenced {
        token: u32,
        again: bool,
        /// Its place in the journal: the line says when the fence was asked.
        place: usize,
        /// The ledger was rebuilt since, so the fence is asked once more.
        rebuilt: bool,
    },
    /// The line is confirmed, and the fence must be asked once more.
    Asks {
        token: u32,
    },
    /// The request may leave. `again`: the ledger knew of a doubt.
    Ready {
        again: bool,
    },
    Answered(Answer),
    /// Recorded; the outcome is not confirmed.
    Telling {
        word: Word,
        /// How it was recorded: what is told late is recorded once more.
        by: Option<By>,
        /// The ledger was rebuilt since, so that it is told late.
        rebuilt: bool,
    },
}

/// How an end was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum By {
    /// By a try that passed the fence: its line was confirmed, so that no other emission gets its number.
    Settling,
    /// By a try that did not, or before it came.
    TurningBack,
}

/// A delivery of one emission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Copy {
    pub(super) emission: u32,
    pub(super) at: At,
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Line {
    Intent(u32, u32),
    Released(u32),
    Told(Word),
    /// Events that change the plan.
    Cancelled,
    Moved,
}

/// How often IO made the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Made {
    /// With no doubt known to the ledger.
    pub(super) unannounced: u8,
    pub(super) announced: u8,
}

/// What the ente heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Heard {
    pub(super) sent: bool,
    pub(super) doubt: bool,
    pub(super) failed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) policy: InDubbio,
    pub(super) ledger: Message,
    pub(super) copies: Vec<Copy>,
    pub(super) journal: Vec<Line>,
    /// The copy of the ledger that a loss brings back, and the lines that were there then.
    pub(super) saved: Option<(Message, usize)>,
    pub(super) made: Made,
    /// How often it may be made at most, since the plan took it back; without end where a doubt was known.
    pub(super) most_made: Option<u8>,
    /// It was sent by an emission after which the ledger had begun another, so that the journal knows more.
    pub(super) superseded_was_sent: bool,
    pub(super) told: Heard,
    pub(super) budget: Budget,
}

impl Made {
    pub(super) fn all(self) -> u8 {
        self.unannounced + self.announced
    }
}

impl World {
    pub(super) fn new(policy: InDubbio, budget: Budget) -> Self {
        Self {
            policy,
            ledger: Message::default(),
            copies: Vec::new(),
            journal: Vec::new(),
            saved: None,
            made: Made::default(),
            most_made: None,
            superseded_was_sent: false,
            told: Heard::default(),
            budget,
        }
    }

    /// Whether some line says more than the ledger: it is asked again before anything leaves by it.
    pub(super) fn is_between_line_and_fence(&self) -> bool {
        self.copies.iter().any(|copy| matches!(copy.at, At::Asks { .. }))
    }

    /// The least token that nobody knows: states that differ in names only are one.
    pub(super) fn unused_token(&self) -> u32 {
        let of_copies = self.copies.iter().filter_map(|copy| match copy.at {
            At::Fenced { token, .. } | At::Asks { token } => Some(token),
            At::Queued | At::Ready { .. } | At::Answered(_) | At::Telling { .. } => None,
        });
        let of_lines = self.journal.iter().filter_map(|line| match line {
            Line::Intent(_, token) => Some(*token),
            _ => None,
        });
        let of_ledgers =
            [Some(&self.ledger), self.saved.as_ref().map(|(message, _)| message)].into_iter().flatten();
        let of_ledgers = of_ledgers.filter_map(|message| match &message.state {
            State::Leaving(_, token) => token.parse().ok(),
            _ => None,
        });
        let known: Vec<u32> = of_copies.chain(of_lines).chain(of_ledgers).collect();
        (0..u32::MAX).find(|token| !known.contains(token)).unwrap_or(u32::MAX)
    }

    /// The ledger after a rebuild from a copy that knows the events of so many lines.
    pub(super) fn rebuilt(&self, from: &Message, known: usize) -> Message {
        self.journal.iter().enumerate().fold(from.clone(), |message, (place, line)| match line {
            Line::Cancelled | Line::Moved if place < known => message,
            _ => recalled(&message, self.policy, line),
        })
    }

    /// Whether a rebuild of the whole ledger would leave it as it is, or take it for in doubt while it leaves.
    pub(super) fn stands(&self) -> bool {
        let rebuilt = self.rebuilt(&self.ledger, self.journal.len());
        match (&self.ledger.state, &rebuilt.state) {
            (State::Leaving(one, _), State::Doubt { count: other, .. }) => one.emission == other.emission,
            _ => rebuilt == self.ledger,
        }
    }
}

/// A message after a rebuild has read a line.
fn recalled(message: &Message, policy: InDubbio, line: &Line) -> Message {
    let plan = planned();
    let seen = progress(message);
    let standing = Standing { case: [7; 12], planned: &plan, seen: &seen };
    let choices = Choices { now_ms: NOW_MS, resend_after_ms: 1, track_status: true };
    let restored = match line {
        Line::Cancelled => return message.on(&Event::Cancelled).unwrap_or_else(|_| message.clone()),
        Line::Moved => return message.on(&Event::Moved).unwrap_or_else(|_| message.clone()),
        Line::Intent(emission, token) => recall::intended(standing, &intent(*emission, *token)),
        Line::Released(emission) => recall::released(standing, &intent(*emission, 0), choices),
        Line::Told(word) => recall::became(standing, &told(*word, policy), choices),
    };
    restored.map_or_else(|| message.clone(), |restored| standing_of(&restored))
}

fn standing_of(restored: &Restored) -> Message {
    Message {
        state: restored.progress.state().unwrap_or_else(|| panic!("{:?}", restored.progress)),
        due: restored.due_ms.is_some(),
        in_flight: restored.flight_ms.is_some(),
        shown: restored.doubt_ms.is_some(),
    }
}

/// As the store's scripts write it.
fn progress(message: &Message) -> RawProgress {
    let again = |count: &Count| if count.again { "r" } else { "" };
    let start = |letter: &str, count: &Count| format!("{letter}|{}|{}", count.emission, count.failures);
    RawProgress(match &message.state {
        State::Armed(count) if *count == Count::default() => String::new(),
        State::Armed(count) if count.again => format!("{}|r", start("A", count)),
        State::Armed(count) => start("A", count),
        State::Emitted(count) if count.again => format!("{}|r", start("E", count)),
        State::Emitted(count) => start("E", count),
        State::Leaving(count, token) => format!("{}|{}|{token}", start("I", count), again(count)),
        State::Doubt { count, why, gives_up } => {
            let x = if *gives_up { "x" } else { "" };
            format!("{}|{why}|{NOW_MS}|{}|{x}", start("D", count), again(count))
        }
        State::Over(End::Sent { level, io_id }) => format!("F|inviato|{level}|{io_id}|{NOW_MS}"),
        State::Over(End::Assumed { level, emission }) => {
            format!("F|inviato|{level}||{emission}|{NOW_MS}")
        }
        State::Over(End::NotSent(what)) => format!("F|{what}|{NOW_MS}"),
    })
}

fn planned() -> Planned {
    Planned {
        slot: 0,
        rule: "m".to_owned(),
        thing: "t".to_owned(),
        firing: 0,
        anchor: String::new(),
        cycle: 0,
        due_ms: NOW_MS,
        useful_until_ms: Some(USEFUL_UNTIL_MS),
        held_until_ms: None,
        is_timer: true,
        event: "e".to_owned(),
        changed_by: None,
        standing: Stands::Armed,
    }
}

fn intent(attempt: u32, token: u32) -> Intent {
    Intent {
        v: 1,
        ente: "borgo".to_owned(),
        chiave: "k".to_owned(),
        caso: String::new(),
        slot: 0,
        attempt,
        token: token.to_string(),
        at_ms: NOW_MS,
        until_ms: NOW_MS,
        released: false,
    }
}

fn told(word: Word, policy: InDubbio) -> Told {
    let level = Level::Standard;
    let what = match word {
        Word::Sent => Became::Sent { level, io_id: Some("01".to_owned()) },
        Word::Assumed => Became::Assumed { level },
        Word::Doubt(tentativo) => {
            let politica = policy.ruling(tentativo - 1, Some(USEFUL_UNTIL_MS)).policy();
            Became::Doubtful { politica, tentativo }
        }
        Word::Discarded => Became::Discarded("annullato".to_owned()),
        Word::Failed => Became::Failed("io".to_owned()),
        Word::GivenUp => Became::Failed("in-doubt-dropped".to_owned()),
    };
    Told {
        at_ms: NOW_MS,
        servizio: "s".to_owned(),
        pratica: "p".to_owned(),
        rule: "m".to_owned(),
        chiave: "k".to_owned(),
        destinatario: None,
        what,
    }
}
