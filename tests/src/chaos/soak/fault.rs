//! The kinds of faults, and which a seed chooses.

use std::time::Duration;

use crate::chaos::dice::Dice;
use crate::chaos::proxy::End;
use crate::fleet::SERVICES;

/// A fault of the mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    Killed,
    Replaced,
    Frozen,
    Crashed,
    Panicked,
    BrokerKilled,
    BrokerStopped,
    BrokerAlarm,
    ExchangeDeleted,
    QueueDeleted,
    Unbound,
    ConnectionsEnded,
    BrokerCut,
    BrokerMute,
    RedisKilled,
    RedisEmptied,
    RedisFull,
    ScriptsForgotten,
    RedisFrozen,
    RedisCut,
    RedisMute,
    Grey,
    Repeated,
    AnswerReset,
    AnswerEnded,
    AnswerDrips,
    IoMute,
    IoRefuses,
    IoCut,
    IoTruncates,
    IoLate,
    Throttled,
    ServerError,
    BadGateway,
}

/// Each kind with the row of the matrix whose way it goes, in words.
pub(super) const KINDS: [(Fault, &str, &str); 34] = [
    (Fault::Killed, "F15", "SIGKILL to a service"),
    (Fault::Replaced, "F16", "a second replica starts, the first gets SIGTERM"),
    (Fault::Frozen, "F19", "SIGSTOP and SIGCONT to a service"),
    (Fault::Crashed, "F01 to F14", "a service aborts at a crash point, another takes over"),
    (Fault::Panicked, "F18", "a panic in a handler"),
    (Fault::BrokerKilled, "F21", "SIGKILL to the broker during confirms, and its restart"),
    (Fault::BrokerStopped, "F20", "stop_app and start_app"),
    (Fault::BrokerAlarm, "F25", "the broker's memory alarm"),
    (Fault::ExchangeDeleted, "F28", "promemoria.work is deleted"),
    (Fault::QueueDeleted, "F29", "promemoria.dispatch is deleted with what it holds"),
    (Fault::Unbound, "F32", "the render queue is unbound"),
    (Fault::ConnectionsEnded, "F19", "the broker ends the connections of a service"),
    (Fault::BrokerCut, "F20", "the network to the broker ends every connection"),
    (Fault::BrokerMute, "F27", "the network to the broker swallows everything"),
    (Fault::RedisKilled, "F35", "SIGKILL to Redis, and its restart"),
    (Fault::RedisEmptied, "F36", "FLUSHALL"),
    (Fault::RedisFull, "F41", "maxmemory reached"),
    (Fault::ScriptsForgotten, "F43", "SCRIPT FLUSH"),
    (Fault::RedisFrozen, "F40", "SIGSTOP and SIGCONT to Redis"),
    (Fault::RedisCut, "F35", "the network to Redis ends every connection"),
    (Fault::RedisMute, "F39", "the network to Redis swallows everything"),
    (Fault::Grey, "F34", "a grey network to broker, Redis or IO"),
    (Fault::Repeated, "F60", "an event comes three times, and once with another content"),
    (Fault::AnswerReset, "F49", "RST in the place of IO's answer"),
    (Fault::AnswerEnded, "F50", "FIN in the place of IO's answer"),
    (Fault::AnswerDrips, "F48", "IO answers a byte at a time"),
    (Fault::IoMute, "F47", "the network to IO swallows everything"),
    (Fault::IoRefuses, "F56", "connections to IO are refused"),
    (Fault::IoCut, "F50", "IO creates the message and closes the connection"),
    (Fault::IoTruncates, "F51", "a 201 whose body is truncated"),
    (Fault::IoLate, "F47", "one answer of IO later than io.request_timeout"),
    (Fault::Throttled, "F52", "429"),
    (Fault::ServerError, "F53", "500 of the handler"),
    (Fault::BadGateway, "F53", "502 of the gateway"),
];

/// Fewest kinds of a run.
const FEWEST: usize = 5;

/// Crash points by service, each with how often it may be passed before: those of a batch come seldom.
pub(super) const POINTS: [(&str, &str, usize); 15] = [
    ("scheduler", "intake.received", 8),
    ("scheduler", "intake.committed", 8),
    ("scheduler", "intake.told", 8),
    ("scheduler", "broker.offered@promemoria.work", 1),
    ("scheduler", "emit.claimed", 1),
    ("scheduler", "emit.decided", 8),
    ("scheduler", "emit.published", 1),
    ("renderer", "renderer.received", 8),
    ("renderer", "renderer.written", 1),
    ("renderer", "renderer.published", 1),
    ("dispatcher", "dispatcher.before-fence", 8),
    ("dispatcher", "dispatcher.fenced", 8),
    ("dispatcher", "dispatcher.answered", 8),
    ("dispatcher", "dispatcher.settled", 8),
    ("dispatcher", "dispatcher.told", 8),
];

/// Where a panic ends no more than what is in hand there.
const PANICS: [(&str, &str, usize); 3] = [
    ("scheduler", "intake.received", 8),
    ("renderer", "renderer.received", 8),
    ("dispatcher", "dispatcher.before-fence", 8),
];

/// A fault with everything about it that is left to chance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Roll {
    pub(super) fault: Fault,
    /// Whom it is about, where it is about a service.
    pub(super) service: &'static str,
    /// Which cable, where it may be any.
    pub(super) cable: &'static str,
    /// How a cable ends what it carries.
    pub(super) end: End,
    /// How long it lasts.
    pub(super) lasts: Duration,
    /// The crash point, where there is one: `name:n`.
    pub(super) point: String,
    /// One number for whatever else is to be chosen.
    pub(super) number: usize,
    /// How long the fleet has before the next one.
    pub(super) pause: Duration,
    /// Whether everything must be over before the next one.
    pub(super) rests: bool,
}

/// The kinds that a run takes its faults from: each with probability one half.
pub(super) fn subset(dice: &mut Dice) -> Vec<Fault> {
    let all = KINDS.map(|(fault, _, _)| fault);
    let mut chosen: Vec<Fault> = all.into_iter().filter(|_| dice.below(2) == 1).collect();
    while chosen.len() < FEWEST {
        let fault = dice.pick(&all);
        if !chosen.contains(&fault) {
            chosen.push(fault);
        }
    }
    chosen
}

impl Roll {
    /// The next one. As many numbers are drawn for each kind, so that the next does not depend on this one.
    pub(super) fn next(dice: &mut Dice, kinds: &[Fault]) -> Self {
        let fault = dice.pick(kinds);
        let service = dice.pick(&SERVICES);
        let (victim, point, passed) = dice.pick(if fault == Fault::Panicked { &PANICS } else { &POINTS });
        let (from_ms, to_ms) = fault.range_ms();
        let lasts = dice.between(from_ms, to_ms);
        let armed = matches!(fault, Fault::Crashed | Fault::Panicked);
        Self {
            fault,
            service: if armed { victim } else { service },
            cable: dice.pick(&["amqp", "redis", "io"]),
            end: dice.pick(&[End::Fin, End::Reset]),
            lasts,
            point: format!("{point}:{}", 1 + dice.below(passed)),
            number: dice.below(1 << 16),
            pause: dice.between(200, 2_000),
            rests: dice.below(3) == 0,
        }
    }

    /// In words, for whoever reads what broke.
    pub(super) fn words(&self) -> String {
        let fault = self.fault;
        match fault {
            Fault::Killed | Fault::Replaced | Fault::ConnectionsEnded => {
                format!("{fault:?} {}", self.service)
            }
            Fault::Crashed | Fault::Panicked => format!("{fault:?} {} at {}", self.service, self.point),
            Fault::Frozen => format!("{fault:?} {} for {:.1?}", self.service, self.lasts),
            Fault::Grey => format!("{fault:?} {} for {:.1?}", self.cable, self.lasts),
            _ if self.fault.lasts() => format!("{fault:?} for {:.1?}", self.lasts),
            _ => format!("{fault:?}"),
        }
    }
}

impl Fault {
    /// Whether it has a beginning and an end.
    fn lasts(self) -> bool {
        self.range_ms() != (0, 1)
    }

    /// How long it may last, in milliseconds.
    fn range_ms(self) -> (usize, usize) {
        match self {
            Self::Frozen => (500, 12_000),
            Self::BrokerKilled | Self::RedisKilled => (0, 4_000),
            Self::BrokerStopped => (1_000, 12_000),
            Self::BrokerAlarm => (2_000, 10_000),
            // Beyond the 25 s within which it is found.
            Self::BrokerMute => (1_000, 30_000),
            Self::BrokerCut | Self::RedisCut => (200, 4_000),
            // Beyond what an intent lasts.
            Self::RedisMute | Self::RedisFrozen => (500, 16_000),
            Self::RedisFull | Self::IoRefuses => (500, 6_000),
            Self::Grey => (5_000, 15_000),
            // Beyond `io.request_timeout`, and below twice that: each request under way ends so once.
            Self::AnswerDrips | Self::IoMute => (500, 5_500),
            _ => (0, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::chaos::points;

    fn rolls(seed: u64) -> (Vec<Fault>, Vec<Roll>) {
        let mut dice = Dice::new(seed);
        let kinds = subset(&mut dice);
        let rolls = (0..100).map(|_| Roll::next(&mut dice, &kinds)).collect();
        (kinds, rolls)
    }

    #[test]
    fn the_same_seed_chooses_the_same_faults_in_the_same_order() {
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7).0, rolls(8).0);
    }

    #[test]
    fn seeds_take_half_of_the_kinds_and_together_all_of_them() {
        let mut seen = BTreeSet::new();
        for seed in 0..50 {
            let (kinds, rolls) = rolls(seed);
            assert!((FEWEST..KINDS.len()).contains(&kinds.len()), "seed {seed} takes {}", kinds.len());
            let drawn: BTreeSet<Fault> = rolls.iter().map(|roll| roll.fault).collect();
            assert!(drawn.iter().all(|fault| kinds.contains(fault)), "seed {seed}");
            seen.extend(drawn);
        }
        assert_eq!(seen.len(), KINDS.len());
    }

    #[test]
    fn every_kind_is_named_once() {
        let faults: BTreeSet<Fault> = KINDS.iter().map(|(fault, _, _)| *fault).collect();
        let words: BTreeSet<&str> = KINDS.iter().map(|(_, _, words)| *words).collect();
        assert_eq!((faults.len(), words.len()), (KINDS.len(), KINDS.len()));
    }

    #[test]
    fn every_crash_point_is_in_the_mix() {
        let point = |(_, point, _): &(&str, &'static str, usize)| point.split('@').next().unwrap_or_default();
        let mut mixed: BTreeSet<&str> = POINTS.iter().map(point).collect();
        // It wants a person with two cases, one of which ends with the person's death.
        mixed.insert("look-again.committed");
        let names = points::names().expect("the names");
        assert_eq!(mixed, names.iter().map(String::as_str).collect());
    }
}
