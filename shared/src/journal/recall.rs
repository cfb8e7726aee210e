//! What the progress of a message becomes when the journal tells of it. Pure.
//!
//! A line never says more than the ledger knew when it was written. So a ledger that is whole is not
//! changed by its own journal, whatever part of it is read and how often: each function answers `None`
//! where the ledger knows as much or more. Two exceptions that `exploration` knows, both on the safe side: a
//! doubt that came to nothing may be taken for one of the try that is leaving now, whose answer closes it; and a
//! sending by an emission that was superseded, which the ledger could not note, ends the message.

use super::line::{Became, Told};
use super::record::Intent;
use crate::domain::case::Planned;
use crate::domain::catalogue::{InDubbio, Ruling};
use crate::domain::message_state::{End, State};
use crate::store::Restored;
use crate::store::keys::CaseId;
use crate::store::progress::RawProgress;
use crate::wire::Level;

/// How long after it was sent the status of a message is asked for first, milliseconds.
const FIRST_ASKING_MS: i64 = 5_000;
/// A status is not asked for when the message is older, milliseconds: seven days.
const LAST_ASKING_MS: i64 = 7 * 24 * 3_600_000;

/// What a replay decides beside the journal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choices {
    /// The store's present instant, Unix milliseconds.
    pub(super) now_ms: i64,
    /// `io.resend_after`, milliseconds.
    pub(super) resend_after_ms: i64,
    /// `io.track_status`.
    pub(super) track_status: bool,
}

/// Where a message stands: its case, its plan, its progress.
#[derive(Clone, Copy)]
pub(super) struct Standing<'a> {
    pub(super) case: CaseId,
    pub(super) planned: &'a Planned,
    pub(super) seen: &'a RawProgress,
}

impl Standing<'_> {
    /// Changed to `progress`, in no set of the schedule.
    fn to(self, progress: String) -> Restored {
        let was_armed = self.planned.is_timer && self.seen.emissions() == 0 && self.seen.ended().is_none();
        Restored {
            case: self.case,
            slot: self.planned.slot,
            seen: self.seen.clone(),
            progress: RawProgress(progress),
            due_ms: None,
            flight_ms: None,
            doubt_ms: None,
            follow_ms: None,
            disarmed: was_armed.then(|| self.planned.rule.clone()),
        }
    }

    /// `r` if it was in doubt before.
    fn again(self) -> &'static str {
        if self.seen.is_in_doubt() || self.seen.doubts_before() > 0 { "r" } else { "" }
    }
}

/// A request was about to leave: what the fence wrote. If nothing more is told of it, its try ends as that
/// of a dispatcher that died, in doubt.
pub(super) fn intended(standing: Standing<'_>, intent: &Intent) -> Option<Restored> {
    let seen = standing.seen;
    let is_known = seen.ended().is_some()
        || seen.emissions() > intent.attempt
        || (seen.emissions() == intent.attempt && !seen.is_emitted());
    if is_known {
        return None;
    }
    let (attempt, failures, again) = (intent.attempt, seen.failures(), standing.again());
    let progress = format!("I|{attempt}|{failures}|{again}|{}", intent.token);
    Some(Restored { flight_ms: Some(intent.until_ms), ..standing.to(progress) })
}

/// The message went back to the schedule: due now. It closes a doubt about the same emission.
pub(super) fn released(standing: Standing<'_>, intent: &Intent, choices: Choices) -> Option<Restored> {
    let seen = standing.seen;
    if !(seen.is_leaving() || seen.is_in_doubt()) || seen.emissions() != intent.attempt {
        return None;
    }
    let again = if seen.doubts_before() > 0 { "|r" } else { "" };
    let progress = format!("A|{}|{}{again}", intent.attempt, seen.failures());
    Some(Restored { due_ms: Some(choices.now_ms), ..standing.to(progress) })
}

/// Something became of the message.
pub(super) fn became(standing: Standing<'_>, told: &Told, choices: Choices) -> Option<Restored> {
    let at = told.at_ms;
    match &told.what {
        Became::Delivered(io_id) => status(standing, "consegnato", (io_id, at)),
        Became::Rejected(io_id) => status(standing, "rifiutato", (io_id, at)),
        Became::Planned { .. } => None,
        // What was assumed is known.
        Became::Sent { level, io_id } if is_assumed(standing.seen) => {
            Some(sent(standing, (*level, io_id.as_deref(), at), choices))
        }
        _ if standing.seen.ended().is_some() || !standing.planned.standing.is_armed() => None,
        Became::Sent { level, io_id } => Some(sent(standing, (*level, io_id.as_deref(), at), choices)),
        // With the emission whose late answer makes it known.
        Became::Assumed { level } => {
            let emission = standing.seen.emissions().max(1);
            Some(standing.to(format!("F|inviato|{}||{emission}|{at}", level.as_str())))
        }
        Became::Discarded(motivo) => Some(standing.to(format!("F|scartato|{motivo}|{at}"))),
        Became::Failed(codice) => Some(standing.to(format!("F|fallito|{codice}|{at}"))),
        Became::Matured => Some(standing.to(format!("F|maturata|{at}"))),
        Became::Doubtful { politica, tentativo } => doubtful(standing, (*politica, *tentativo, at), choices),
    }
}

fn is_assumed(seen: &RawProgress) -> bool {
    matches!(seen.state(), Some(State::Over(End::Assumed { .. })))
}

/// IO made it, and its status is asked for while it is young.
fn sent(
    standing: Standing<'_>,
    (level, io_id, at): (Level, Option<&str>, i64),
    choices: Choices,
) -> Restored {
    let id = io_id.unwrap_or("");
    let follow = choices.track_status && !id.is_empty() && choices.now_ms - at < LAST_ASKING_MS;
    let sent = standing.to(format!("F|inviato|{}|{id}|{at}", level.as_str()));
    Restored { follow_ms: follow.then_some(at + FIRST_ASKING_MS), ..sent }
}

/// The status of a sent message. Where the sending itself was not told, it was sent all the same.
fn status(standing: Standing<'_>, what: &str, (io_id, at): (&str, i64)) -> Option<Restored> {
    let seen = standing.seen;
    match seen.ended() {
        Some("inviato") => {
            let (level, sent_ms) = (seen.detail(0).unwrap_or("STANDARD"), seen.ended_ms().unwrap_or(at));
            Some(standing.to(format!("F|{what}|{level}|{io_id}|{sent_ms}")))
        }
        Some(_) => None,
        None => Some(standing.to(format!("F|{what}|STANDARD|{io_id}|{at}"))),
    }
}

/// In doubt, unless it went again since: a second try of which the first doubt says nothing.
fn doubtful(
    standing: Standing<'_>,
    (politica, tentativo, at): (InDubbio, u32, i64),
    choices: Choices,
) -> Option<Restored> {
    let seen = standing.seen;
    let again = standing.again();
    let is_first_try = again.is_empty() || tentativo > 1;
    let is_open = seen.is_leaving() && is_first_try;
    if !seen.0.is_empty() && !is_open {
        return None;
    }
    let ruling = politica.ruling(u32::from(!again.is_empty()), standing.planned.useful_until_ms);
    let gives_up = if matches!(ruling, Ruling::ExpireAt(_)) { "x" } else { "" };
    let (emission, failures) = (seen.emissions().max(1), seen.failures());
    let doubt = standing.to(format!("D|{emission}|{failures}|journal|{at}|{again}|{gives_up}"));
    Some(match ruling {
        Ruling::Resend => Restored { due_ms: Some(at + choices.resend_after_ms), ..doubt },
        Ruling::ExpireAt(end_ms) => Restored { due_ms: Some(end_ms), doubt_ms: Some(at), ..doubt },
        Ruling::Hold | Ruling::AssumeSent => Restored { doubt_ms: Some(at), ..doubt },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::case::Standing as Stands;

    const CHOICES: Choices = Choices { now_ms: 10_000, resend_after_ms: 200_000, track_status: true };

    fn planned(stands: Stands) -> Planned {
        Planned {
            slot: 3,
            rule: "permesso-in-scadenza".to_owned(),
            thing: "permesso".to_owned(),
            firing: -30,
            anchor: String::new(),
            cycle: 0,
            due_ms: 5_000,
            useful_until_ms: None,
            held_until_ms: None,
            is_timer: true,
            event: "e".to_owned(),
            changed_by: None,
            standing: stands,
        }
    }

    fn intent(attempt: u32) -> Intent {
        Intent {
            v: 1,
            ente: "borgo".to_owned(),
            chiave: "k".to_owned(),
            caso: String::new(),
            slot: 3,
            attempt,
            token: "t".to_owned(),
            at_ms: 6_000,
            until_ms: 26_000,
            released: false,
        }
    }

    fn told(what: Became) -> Told {
        Told {
            at_ms: 7_000,
            servizio: "s".to_owned(),
            pratica: "p".to_owned(),
            rule: "permesso-in-scadenza".to_owned(),
            chiave: "k".to_owned(),
            destinatario: None,
            what,
        }
    }

    /// Progress after the three kinds of lines, or `-` where nothing changes.
    fn after(seen: &str, change: impl Fn(Standing<'_>) -> Option<Restored>) -> String {
        let (planned, seen) = (planned(Stands::Armed), RawProgress(seen.to_owned()));
        change(Standing { case: [7; 12], planned: &planned, seen: &seen })
            .map_or("-".to_owned(), |it| it.progress.0)
    }

    #[test]
    fn an_intent_is_put_back_as_the_fence_wrote_it_unless_the_ledger_knows() {
        for (seen, wanted) in [
            ("", "I|2|0||t"),
            ("A|1|1", "I|2|1||t"),
            ("E|2|0", "I|2|0||t"),
            ("D|1|0|timeout|5", "I|2|0|r|t"),
            ("I|2|0||u", "-"),
            ("A|2|0", "-"),
            ("D|2|0|timeout|5", "-"),
            ("E|3|0", "-"),
            ("F|inviato|STANDARD|01|5", "-"),
        ] {
            assert_eq!(after(seen, |it| intended(it, &intent(2))), wanted, "{seen}");
        }
    }

    #[test]
    fn a_release_undoes_its_own_intent_only() {
        for (seen, wanted) in [
            ("I|2|1||t", "A|2|1"),
            ("I|2|0|r|t", "A|2|0|r"),
            ("D|2|0|timeout|5||", "A|2|0"),
            ("D|2|0|timeout|5|r|", "A|2|0|r"),
            ("D|3|0|timeout|5||", "-"),
            ("I|3|0||t", "-"),
            ("", "-"),
            ("E|2|0", "-"),
        ] {
            assert_eq!(after(seen, |it| released(it, &intent(2), CHOICES)), wanted, "{seen}");
        }
    }

    #[test]
    fn an_end_is_never_overwritten() {
        let ends = [
            Became::Sent { level: Level::Advanced, io_id: Some("01".to_owned()) },
            Became::Discarded("premium".to_owned()),
            Became::Failed("attempts".to_owned()),
            Became::Matured,
            Became::Doubtful { politica: InDubbio::Hold, tentativo: 2 },
        ];
        for what in ends {
            for seen in ["F|inviato|STANDARD|00|5", "F|annullato|5", "F|fallito|attempts|5"] {
                assert_eq!(
                    after(seen, |it| became(it, &told(what.clone()), CHOICES)),
                    "-",
                    "{seen} {what:?}"
                );
            }
            let open = after("I|1|0||t", |it| became(it, &told(what.clone()), CHOICES));
            assert_ne!(open, "-", "{what:?}");
        }
    }

    #[test]
    fn a_first_doubt_says_nothing_of_the_second_try() {
        let doubt = |tentativo| told(Became::Doubtful { politica: InDubbio::Resend, tentativo });
        for (seen, tentativo, wanted) in [
            ("", 1, "D|1|0|journal|7000||"),
            ("I|1|0||t", 1, "D|1|0|journal|7000||"),
            ("I|2|0|r|t", 1, "-"),
            ("I|2|0|r|t", 2, "D|2|0|journal|7000|r|"),
            ("A|1|0|r", 1, "-"),
            ("D|1|0|timeout|5", 1, "-"),
        ] {
            let progress = after(seen, |it| became(it, &doubt(tentativo), CHOICES));
            assert_eq!(progress, wanted, "{seen} {tentativo}");
        }
    }

    #[test]
    fn a_sent_message_leaves_the_schedule_and_is_followed_for_some_days() {
        let (planned, seen) = (planned(Stands::Armed), RawProgress::default());
        let standing = Standing { case: [7; 12], planned: &planned, seen: &seen };
        let sent = told(Became::Sent { level: Level::Standard, io_id: Some("01".to_owned()) });
        let now = became(standing, &sent, CHOICES).unwrap();
        assert_eq!((now.due_ms, now.follow_ms), (None, Some(12_000)));
        assert_eq!(now.disarmed.as_deref(), Some("permesso-in-scadenza"));
        let later = Choices { now_ms: 7_000 + LAST_ASKING_MS, ..CHOICES };
        assert_eq!(became(standing, &sent, later).unwrap().follow_ms, None);
    }

    #[test]
    fn what_was_assumed_stays_so_until_it_is_known() {
        let assumed = told(Became::Assumed { level: Level::Standard });
        assert_eq!(after("I|2|0||t", |it| became(it, &assumed, CHOICES)), "F|inviato|STANDARD||2|7000");
        let sent = told(Became::Sent { level: Level::Advanced, io_id: Some("01".to_owned()) });
        for (seen, wanted) in [
            ("F|inviato|STANDARD||2|5", "F|inviato|ADVANCED|01|7000"),
            ("F|inviato|STANDARD||5", "-"),
            ("F|inviato|STANDARD|00|5", "-"),
        ] {
            assert_eq!(after(seen, |it| became(it, &sent, CHOICES)), wanted, "{seen}");
            assert_eq!(after(seen, |it| became(it, &assumed, CHOICES)), "-", "{seen}");
        }
    }

    #[test]
    fn what_planning_took_back_is_left_to_planning() {
        let (planned, seen) =
            (planned(Stands::Discarded(crate::domain::case::Motivo::Annullato)), RawProgress::default());
        let standing = Standing { case: [7; 12], planned: &planned, seen: &seen };
        assert_eq!(became(standing, &told(Became::Discarded("annullato".to_owned())), CHOICES), None);
    }
}
