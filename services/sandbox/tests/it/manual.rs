//! The manual says what the code says.

use sandbox::{DEFAULT_CALLS_PER_5S, DEFAULT_KEEP, DEFAULT_MAX_AMOUNT, Options, recipients};

const MANUAL: &str = include_str!("../../../../docs/sandbox.md");

#[test]
fn every_simulated_recipient_is_in_the_table() {
    for (code, constant) in [
        (recipients::ON_IO, "ON_IO"),
        (recipients::NOT_ON_IO, "NOT_ON_IO"),
        (recipients::SERVICE_BLOCKED, "SERVICE_BLOCKED"),
        (recipients::MANUAL_NOT_OPTED_IN, "MANUAL_NOT_OPTED_IN"),
        (recipients::REJECTED, "REJECTED"),
        (recipients::FAILED, "FAILED"),
        (recipients::SLOW, "SLOW"),
    ] {
        assert!(MANUAL.contains(&format!("| `{code}` | `{constant}` |")), "{constant}");
    }
    assert_eq!(MANUAL.matches("| `ZZZ").count() + 1, recipients::ALL.len());
}

#[test]
fn the_settings_of_the_manual_are_good_and_show_the_defaults() {
    let (_, rest) = MANUAL.split_once("```toml\n").unwrap();
    let (settings, _) = rest.split_once("```").unwrap();
    let options = Options::from_toml(settings).unwrap();
    let servizio = &options.servizi[0];
    assert_eq!(servizio.calls_per_5s, DEFAULT_CALLS_PER_5S);
    assert_eq!(servizio.max_importo_centesimi, DEFAULT_MAX_AMOUNT);
    assert_eq!(options.keep, DEFAULT_KEEP);
    assert_eq!(Options { servizi: Vec::new(), ..options }, Options::default());
}
