//! Due work that cannot be decided on: its service left the catalogue, or deciding panics.

use shared::store::Claimed;
use shared::store::keys::Kind;
use shared::wire::telling::given_up_unserved;
use shared::wire::{Outcome, RecipientHash};

/// How long it waits for a catalogue that has the service, or a build that can decide: long enough to see the error and to mend a rollout
/// that lost a folder, short enough that a message does not go out when nobody expects it any more.
const PATIENCE_MS: i64 = 24 * 3_600_000;

/// How long it waits before the next look.
pub(crate) const NEXT_LOOK_MS: i64 = 60_000;

/// `codice` of a message whose service is not in the catalogue.
pub(crate) const SERVICE: &str = "service";

/// What becomes of it.
#[derive(Debug, PartialEq)]
pub(crate) enum Stranded {
    /// It comes again after [`NEXT_LOOK_MS`].
    Waits,
    /// It is given up, and the ente is told.
    Fails(Box<Outcome>),
    /// A doubt stays with its lease, and with the operator: it is ruled on when the service is back.
    Stays,
    /// There is nothing to do for it any more: a status to be asked for, a case to be looked at.
    Ends,
}

/// Decides, by how long it has been due.
pub(crate) fn decide(
    ente: &str,
    entry: &Claimed,
    now_ms: i64,
    (code, hash): (&str, &RecipientHash),
) -> Stranded {
    // What an operator gave up and nobody told is told when its service is back.
    if entry.member.kind == Kind::Follow && entry.progress.ended() == Some("fallito") {
        return Stranded::Waits;
    }
    if entry.member.kind != Kind::Message {
        return Stranded::Ends;
    }
    if entry.progress.is_in_doubt() {
        return Stranded::Stays;
    }
    let planned = entry.case.as_ref().and_then(|case| {
        let planned = case.planned.iter().find(|planned| planned.slot == entry.member.slot)?;
        Some((case, planned))
    });
    match planned {
        Some((case, planned)) if now_ms - planned.due_ms >= PATIENCE_MS => {
            let told = given_up_unserved(ente, (case, &entry.member.case, planned), (code, hash));
            Stranded::Fails(Box::new(told))
        }
        _ => Stranded::Waits,
    }
}

#[cfg(test)]
mod tests {
    use shared::domain::case::{Case, Planned, Standing};
    use shared::store::keys::Member;
    use shared::store::progress::RawProgress;

    use super::*;

    const DUE_MS: i64 = 1_800_000_000_000;

    fn entry(kind: Kind, progress: &str) -> Claimed {
        let planned = Planned {
            slot: 3,
            rule: "avviso".to_owned(),
            thing: "avviso:1".to_owned(),
            firing: 0,
            anchor: String::new(),
            cycle: 0,
            due_ms: DUE_MS,
            useful_until_ms: None,
            held_until_ms: None,
            event: "e".to_owned(),
            changed_by: None,
            is_timer: false,
            standing: Standing::Armed,
        };
        let (servizio, pratica) = ("andato".to_owned(), "P-1".to_owned());
        let case = Case { servizio, pratica, planned: vec![planned], ..Case::default() };
        Claimed {
            member: Member { case: [7; 12], slot: 3, kind },
            due_ms: DUE_MS,
            emission: 2,
            case: Some(case.into()),
            is_unreadable: false,
            progress: RawProgress(progress.to_owned()),
        }
    }

    fn decided(kind: Kind, progress: &str, now_ms: i64) -> Stranded {
        decide("borgochiaro", &entry(kind, progress), now_ms, (SERVICE, &RecipientHash::new("chiave".into())))
    }

    #[test]
    fn it_waits_a_day_and_then_ends_where_the_ente_sees_it() {
        assert_eq!(decided(Kind::Message, "E|2|0", DUE_MS + PATIENCE_MS - 1), Stranded::Waits);
        let Stranded::Fails(outcome) = decided(Kind::Message, "E|2|0", DUE_MS + PATIENCE_MS) else {
            panic!("it ends")
        };
        assert_eq!(outcome.routing_key(), "borgochiaro.messaggio.fallito");
        assert_eq!((&outcome.data["codice"], &outcome.data["evento"]), (&"service".into(), &"e".into()));
    }

    #[test]
    fn a_doubt_stays_and_what_is_no_message_ends() {
        let late = DUE_MS + PATIENCE_MS;
        assert_eq!(decided(Kind::Message, "D|2|0|lease-ended|1", late), Stranded::Stays);
        assert_eq!(decided(Kind::Follow, "F|fallito|in-doubt-dropped|1", late), Stranded::Waits);
        assert_eq!(decided(Kind::Follow, "F|inviato|STANDARD|x|1", late), Stranded::Ends);
        assert_eq!(decided(Kind::Replan, "", late), Stranded::Ends);
    }
}
