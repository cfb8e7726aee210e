use super::*;
use crate::domain::case::{Case, Motivo, Planned, Standing};

const ENTE: &str = "borgochiaro";

fn planned(slot: u16, standing: Standing) -> Planned {
    Planned {
        slot,
        rule: "permesso-in-scadenza".to_owned(),
        thing: "permesso".to_owned(),
        firing: -30,
        anchor: String::new(),
        cycle: slot,
        due_ms: 5_000,
        useful_until_ms: None,
        held_until_ms: None,
        is_timer: true,
        event: "e".to_owned(),
        changed_by: None,
        standing,
    }
}

/// A case with one message that stands so.
fn unit(standing: Standing, progress: &str) -> Unit {
    let case = Case { planned: vec![planned(3, standing)], ..Case::default() };
    Unit::with_progress([7; 12], case, [(3, RawProgress(progress.to_owned()))])
}

fn name(unit: &Unit) -> Name {
    name_of(&message_key(ENTE, &unit.case, &unit.id, &unit.case.planned[0])).unwrap()
}

fn page(marks: &[(Name, Mark)]) -> Page {
    Page { case: [7; 12], day: 20_000, marks: marks.to_vec() }
}

/// How many messages differ.
fn differ(unit: &Unit, told: Option<Mark>, unplaced: &[Member]) -> usize {
    let marks: Vec<_> = told.map(|mark| (name(unit), mark)).into_iter().collect();
    disagreements(ENTE, &page(&marks), unit, unplaced).len()
}

#[test]
fn a_message_stands_where_the_journal_says() {
    let sent = "F|inviato|STANDARD|01A|9";
    for (progress, told, count) in [
        ("", Some(Mark::Open), 0),
        // It goes at once: the journal hears of it at its end.
        ("E|1|0", None, 0),
        ("D|1|0|timeout|9||", Some(Mark::Open), 0),
        (sent, Some(Mark::Sent), 0),
        ("F|consegnato|STANDARD|01A|9", Some(Mark::Sent), 0),
        ("F|fallito|attempts|9", Some(Mark::NotSent), 0),
        ("F|maturata|9", Some(Mark::Sent), 0),
        ("", Some(Mark::Sent), 1),
        ("", Some(Mark::NotSent), 1),
        (sent, Some(Mark::Open), 1),
        (sent, None, 1),
        ("F|perso|9", Some(Mark::Open), 1),
        ("F|fallito|attempts|9", Some(Mark::Sent), 1),
    ] {
        let unit = unit(Standing::Armed, progress);
        assert_eq!(differ(&unit, told, &[]), count, "{progress} {told:?}");
    }
}

#[test]
fn what_planning_took_back_stands() {
    for told in [None, Some(Mark::Open), Some(Mark::Sent)] {
        let unit = unit(Standing::Discarded(Motivo::TipoDisattivato), "");
        assert_eq!(differ(&unit, told, &[]), 0, "{told:?}");
    }
}

#[test]
fn a_message_in_no_set_would_never_go() {
    let waits = unit(Standing::Moved, "A|1|0");
    let members = waiting(&waits);
    assert_eq!(members.len(), 1);
    assert_eq!(differ(&waits, Some(Mark::Open), &members), 1);
    assert_eq!(waiting(&unit(Standing::Armed, "F|annullato|9")), []);
    assert_eq!(waiting(&unit(Standing::Missed, "")), []);
}

#[test]
fn a_case_that_is_gone_counts_by_its_messages() {
    let mut gone = Unit::with_progress([7; 12], Case::default(), []);
    gone.known = false;
    let marks = [([1; 4], Mark::Open), ([2; 4], Mark::Sent)];
    assert_eq!(disagreements(ENTE, &page(&marks), &gone, &[]).len(), 2);
    assert_eq!(disagreements(ENTE, &page(&[]), &gone, &[]), HashSet::from([([7; 12], WHOLE_CASE)]));
}

#[test]
fn a_message_that_is_not_planned_any_more_counts_while_it_is_awaited() {
    let case = unit(Standing::Armed, "");
    let mine = (name(&case), Mark::Open);
    let ended = ([1; 4], Mark::Sent);
    assert_eq!(disagreements(ENTE, &page(&[mine, ended]), &case, &[]).len(), 0);
    let awaited = ([1; 4], Mark::Open);
    assert_eq!(disagreements(ENTE, &page(&[mine, awaited]), &case, &[]).len(), 1);
}

#[test]
fn a_status_makes_no_page_younger() {
    let told = |what| {
        let told = Told {
            at_ms: 20_007 * DAY_MS,
            servizio: "permesso-soggiorno".to_owned(),
            pratica: "p".to_owned(),
            rule: "permesso-in-scadenza".to_owned(),
            chiave: "0a0b0c0d00000000".to_owned(),
            destinatario: None,
            what,
        };
        let record = crate::journal::Record {
            strand: crate::journal::Strand::Outcomes,
            key: format!("{ENTE}.x"),
            taken_ms: None,
            traceparent: None,
            body: String::new(),
        };
        Line { at_ms: told.at_ms, record, entry: Entry::Told(told) }
    };
    let catalogue = crate::domain::catalogue::tests::shipped();
    let ente = crate::domain::event::tests::ente();
    let hash = RecipientHash::new("a key of sixteen".to_owned().into());
    let entered = |what| entered(&told(what), (&catalogue, &ente, &hash));
    let id = case_id("permesso-soggiorno", "p", None);
    let marks = |mark| vec![([0x0a, 0x0b, 0x0c, 0x0d], mark)];
    let sent = Became::Sent { level: crate::wire::Level::Standard, io_id: None };
    assert_eq!(entered(sent), [Page { case: id, day: 20_007, marks: marks(Mark::Sent) }]);
    let delivered = entered(Became::Delivered("01A".to_owned()));
    assert_eq!(delivered, [Page { case: id, day: 0, marks: marks(Mark::Sent) }]);
}
