//! What an ente adds to the catalogue.

use super::*;
use crate::domain::catalogue::tests::shipped;
use crate::domain::catalogue::{InDubbio, Pulsante};
use crate::domain::ente::{Ente, MessaggioEnte, ServizioEnte};
use crate::domain::event::tests::ente;

const P: &str = "permesso-soggiorno";
const EXPIRING: &str = "permesso-in-scadenza";

/// Faults of the good ente after a change of its permit service.
fn faults_after(change: impl FnOnce(&mut ServizioEnte)) -> Vec<String> {
    let mut changed = ente();
    change(changed.servizi.get_mut(P).unwrap());
    check_ente(&shipped(), &changed).iter().map(ToString::to_string).collect()
}

/// Faults of the good ente after a choice for the expiry reminder.
fn faults_of_choice(choice: MessaggioEnte) -> Vec<String> {
    faults_after(|service| drop(service.messaggi.insert(EXPIRING.to_owned(), choice)))
}

#[test]
fn an_ente_that_gives_what_is_needed_has_no_fault() {
    assert_eq!(faults_after(|_| ()), Vec::<String>::new());
}

#[test]
fn a_variable_that_is_not_given_is_told_once_with_every_message_that_needs_it() {
    let faults = faults_after(|service| drop(service.variabili.remove("url_info")));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(
        faults[0]
            .starts_with("enti/borgochiaro.toml: servizi.permesso-soggiorno.variabili.url_info: not given")
    );
    assert!(
        faults[0].contains("permesso-cancellazione-avviata, permesso-cancellazione-disposta"),
        "{faults:?}"
    );
    assert_eq!(ente_faults(&shipped(), &Ente { comune: String::new(), ..ente() }), []);
}

#[test]
fn a_message_whose_use_never_ends_cannot_expire() {
    let choice = || MessaggioEnte { in_dubbio: Some(InDubbio::Expire), ..MessaggioEnte::default() };
    assert_eq!(faults_of_choice(choice()), Vec::<String>::new());
    let id = "permesso-pratica-presa-in-carico";
    let faults = faults_after(|service| drop(service.messaggi.insert(id.to_owned(), choice())));
    let key = format!("servizi.{P}.messaggi.{id}.in_dubbio");
    assert_eq!(
        faults,
        [format!("enti/borgochiaro.toml: {key}: is `expire`, and the message has no `utile_fino_a`")]
    );
}

#[test]
fn a_message_that_is_off_needs_nothing() {
    let faults = faults_after(|service| {
        service.variabili.remove("url_pratica");
        let off = MessaggioEnte { attivo: Some(false), ..MessaggioEnte::default() };
        service.messaggi.insert("permesso-pratica-presa-in-carico".to_owned(), off);
    });
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn names_and_values_are_checked_against_the_catalogue() {
    for (nome, value, expected) in [
        ("url_info", "http://info.example.it", "must be an absolute https url"),
        (
            "url_pratica",
            "https://a.it/{numero_domanda}",
            "`{numero_domanda}` is no field of `pratica.presa-in-carico`",
        ),
        ("url_pratica", "https://a.it/{numero", "has a `{` without a `}`"),
        ("ufficio", " ", "must not be empty"),
        ("uficio", "Anagrafe", "is no variable that an ente may give"),
    ] {
        let faults =
            faults_after(|service| drop(service.variabili.insert(nome.to_owned(), value.to_owned())));
        assert!(faults.len() == 1 && faults[0].ends_with(expected), "{nome} = {value}: {faults:?}");
    }
    let mut unknown = ente();
    unknown.servizi.insert("biblioteca".to_owned(), ServizioEnte::default());
    assert!(ente_faults(&shipped(), &unknown)[0].reason.contains("no service"));
    let faults = faults_after(|service| {
        service.messaggi.insert("permesso-x".to_owned(), MessaggioEnte::default());
        service.timer.insert("x".to_owned(), crate::domain::ente::TimerEnte::default());
        service.variabili_per_permesso.insert("ZZ".to_owned(), std::collections::BTreeMap::new());
    });
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn an_entes_own_text_is_checked_as_the_catalogues() {
    let own = |corpo: &str| MessaggioEnte { corpo: Some(corpo.to_owned()), ..MessaggioEnte::default() };
    let good =
        "Il tuo permesso scade il {{ data_scadenza }}. Per il rinnovo vai all'ufficio postale con il kit.";
    assert_eq!(faults_of_choice(own(good)), Vec::<String>::new());
    for (text, expected) in [
        ("{{ indirizzo }}", "`indirizzo` is not declared"),
        ("Troppo corto", "can be as short as 12"),
        ("{% if %}", "corpo: line 1"),
        (&format!("---\n{good}"), "must not begin with `---`"),
    ] {
        let faults = faults_of_choice(own(text));
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{text}: {faults:?}");
        let key = "servizi.permesso-soggiorno.messaggi.permesso-in-scadenza.corpo";
        assert!(faults.iter().all(|fault| fault.contains(key)), "{faults:?}");
    }
    let title = MessaggioEnte { titolo: Some("Scade".to_owned()), ..MessaggioEnte::default() };
    assert!(faults_of_choice(title)[0].contains("titolo: can have 5"));
    let label = Pulsante { it: "x".repeat(6000), en: "y".to_owned(), url: None };
    let button = MessaggioEnte { pulsante: Some(label), ..MessaggioEnte::default() };
    assert!(faults_of_choice(button)[0].contains("with its button"));
}

#[test]
fn days_before_belong_to_reminders() {
    let days = |days: Vec<i64>| MessaggioEnte { giorni_prima: Some(days), ..MessaggioEnte::default() };
    assert_eq!(faults_of_choice(days(vec![60, 30])), Vec::<String>::new());
    assert!(faults_of_choice(days(vec![-5]))[0].contains("0 or more"));
    let faults = faults_after(|service| {
        service.messaggi.insert("permesso-pratica-conclusa".to_owned(), days(vec![7]));
    });
    assert!(faults[0].contains("does not go before a date"), "{faults:?}");
}
