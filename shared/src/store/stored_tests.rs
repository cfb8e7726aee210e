use std::collections::BTreeMap;

use super::*;
use crate::domain::case::{Fact, Planned, Stamp, Standing, Things};
use crate::domain::{Field, FiscalCode, hex};
use crate::formats::Foreign;

/// A case with every kind of field.
fn case() -> Case {
    let stamp = Stamp { time_ms: 1_800_000_000_000, sequence: Some(7), id: "e-1".to_owned() };
    let fields = [
        ("importo_centesimi", Field::Int(12_345)),
        ("rateale", Field::Bool(true)),
        ("scadenza", Field::Text("2027-06-30".to_owned())),
        ("voci", Field::List(vec!["canone".to_owned()])),
    ];
    let fact = Fact {
        stamp,
        recipient: FiscalCode::parse("RSSMRA85T10A562S").ok(),
        fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        importazione: false,
        taken_ms: 1_800_000_000_001,
        trace: None,
    };
    let thing = BTreeMap::from([("pagamento.avviso-emesso".to_owned(), vec![fact])]);
    Case {
        servizio: "alloggi-sociali".to_owned(),
        pratica: "D-17".to_owned(),
        share: false,
        things: Things::from([("avviso:302001234567890123".to_owned(), thing)]),
        planned: vec![Planned {
            slot: 3,
            rule: "alloggi-avviso-canone".to_owned(),
            thing: "avviso:302001234567890123".to_owned(),
            firing: -7,
            anchor: "2027-06-30".to_owned(),
            cycle: 1,
            due_ms: 1_800_000_000_002,
            useful_until_ms: Some(1_800_000_000_003),
            held_until_ms: None,
            event: "e-1".to_owned(),
            changed_by: None,
            is_timer: true,
            standing: Standing::Armed,
        }],
        next_slot: 4,
        events: vec![[1; 12]],
        persons: vec![[2; 8]],
    }
}

/// What changes this file is a new version of the store's format: see docs/upgrades.md.
#[test]
fn a_case_of_version_1_is_stored_as_it_was() {
    let golden = include_str!("golden/case-1.hex").replace('\n', "");
    let unit = Unit::new([0; 12]);
    let blob = next_record(&unit, &case()).unwrap();
    assert_eq!(hex(&blob), golden, "a record has changed without a new version of its format");
    assert_eq!(read_case(&blob).unwrap(), ("00000001".to_owned(), case()));
}

#[test]
fn a_record_of_a_later_release_is_told_from_a_broken_one() {
    let mut blob = next_record(&Unit::new([0; 12]), &case()).unwrap();
    blob[REVISION] = 2;
    let Err(StoreError::Foreign(Foreign { format: "store", found: 2, .. })) = read_case(&blob) else {
        panic!("a later version")
    };
    blob.truncate(REVISION + 1);
    blob[REVISION] = 1;
    assert!(matches!(read_case(&blob), Err(StoreError::Unreadable("record"))));
    assert!(matches!(read_case(b"0000"), Err(StoreError::Unreadable("case"))));
}
