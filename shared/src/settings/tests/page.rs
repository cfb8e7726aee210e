use std::collections::BTreeSet;

use super::super::page::{configuration_page, keys};
use super::super::reader;
use super::root;

#[test]
fn every_key_has_a_meaning() {
    for key in keys() {
        assert!(!key.meaning.is_empty(), "[{}] {} has no comment in defaults.toml", key.table, key.name);
    }
}

#[test]
fn every_example_is_a_good_value_of_a_known_key() {
    let mut text = String::new();
    for line in super::super::merge::DEFAULTS.lines() {
        text.push_str(line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line));
        text.push('\n');
    }
    let table = reader::parse("defaults", &text).unwrap();
    let leaves = reader::paths(&table).len();
    let tables: BTreeSet<&str> =
        keys().iter().map(|key| key.table).filter(|table| !table.is_empty()).collect();
    assert_eq!(leaves, keys().len() + tables.len());
    let folder = tempfile::tempdir().unwrap();
    super::write(folder.path(), "fleet.toml", &text);
    let path = folder.path().join("fleet.toml");
    let faults = super::super::Settings::load(Some(&path), std::iter::empty()).unwrap_err();
    assert!(faults.iter().all(|fault| !fault.reason.starts_with("unknown key")), "{faults:#?}");
}

#[test]
fn the_page_is_up_to_date() {
    let page = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap_or_default();
    assert!(page == configuration_page(), "docs/configuration.md is old: run `promemoria docs --write`");
}
