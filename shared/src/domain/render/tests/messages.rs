//! Messages of the catalogue's kinds, exact; and what stops one.

use super::fixture::{self, SERVIZIO, ente, fields, messaggio, rendered};
use crate::domain::catalogue::{InDubbio, Messaggio};
use crate::domain::ente::{Ente, MessaggioEnte};
use crate::domain::render::{RenderCode, RenderError, Texts, render};
use crate::domain::{Field, Fields};
use crate::wire::Level;

fn in_scadenza() -> Messaggio {
    messaggio(
        "permesso-in-scadenza",
        "titolo = 'Il tuo permesso di soggiorno sta per scadere'\ndue_date = 'data_scadenza'\n\
         pulsante = { it = 'Prenota appuntamento', en = 'Book an appointment', url = 'url_prenotazione' }",
        &["data_scadenza:data:evento", "ufficio:testo:ente", "url_prenotazione:url:ente"],
        "Il tuo permesso di soggiorno scadrà il {{ data_scadenza }}.\n\n\
         Per il rinnovo, dovrai prendere appuntamento presso {{ ufficio }}.\n\n\
         Per prenotare il tuo appuntamento, [visita questo sito]({{ url_prenotazione }}).",
    )
}

fn contratto() -> Messaggio {
    messaggio(
        "alloggi-contratto-pronto-firma",
        "titolo = 'Il contratto è pronto per la firma'\npremium = 'allegato'",
        &[
            "riferimento_alloggio:testo:evento",
            "indirizzo:testo:evento",
            "url_prenotazione_firma:url:ente:ripiego = 'url_prenotazione'",
            "formato_allegato:testo:evento:solo_con_allegato = true",
            "url_contratto:url:evento",
            "allegato_premium:bool:interna",
        ],
        "Il contratto di locazione per l’alloggio {{ riferimento_alloggio }} assegnato in {{ indirizzo }} è \
         pronto per la firma.\n\nPer prenotare l'appuntamento per la firma, [visita questo sito]({{ \
         url_prenotazione_firma }}).\n\n{% if allegato_premium %}Puoi trovare in allegato il testo integrale \
         del contratto in formato {{ formato_allegato }}.\n\n{% endif %}Per scaricare il contratto, [visita \
         questo sito]({{ url_contratto }}).",
    )
}

fn canone() -> Messaggio {
    messaggio(
        "alloggi-avviso-canone",
        "titolo = 'Hai un nuovo avviso di pagamento'\ndue_date = 'data_scadenza'\npagamento = true\n\
         premium = 'promemoria-pagamento'\npulsante = { it = 'Vedi Avviso', en = 'View the notice' }",
        &["causale:testo:evento", "importo:importo:evento", "data_scadenza:data:evento"],
        "C'è un avviso da pagare relativo a {{ causale }}.\n\n**Devi pagare:** {{ importo }} €\n\n\
         **Entro il:** {{ data_scadenza }}",
    )
}

fn canone_fields() -> Fields {
    let mut campi = fields([
        ("causale", "Canone aprile 2027"),
        ("importo", "310,50"),
        ("data_scadenza", "2027-04-10"),
        ("codice_avviso", "301000000000000001"),
    ]);
    campi.insert("importo_centesimi".to_owned(), Field::Int(31_050));
    campi
}

fn contratto_fields() -> Fields {
    fields([
        ("riferimento_alloggio", "12/B"),
        ("indirizzo", "Via Verdi 4"),
        ("formato_allegato", "PDF"),
        ("url_contratto", "https://casa.example.it/contratti/1"),
        ("allegato", "contratto-1"),
    ])
}

#[test]
fn story_1_has_its_exact_text_button_and_due_date() {
    for premium in [false, true] {
        let sent =
            rendered(&ente(premium), in_scadenza(), fields([("data_scadenza", "2027-06-30")])).unwrap();
        assert_eq!(sent.content.subject, "Il tuo permesso di soggiorno sta per scadere");
        assert_eq!(
            sent.content.markdown,
            "---\nit:\n    cta_1:\n        text: \"Prenota appuntamento\"\n        action: \
             \"iohandledlink://https://prenota.example.it\"\nen:\n    cta_1:\n        text: \"Book an \
             appointment\"\n        action: \"iohandledlink://https://prenota.example.it\"\n---\n\nIl tuo \
             permesso di soggiorno scadrà il 30/06/2027.\n\nPer il rinnovo, dovrai prendere appuntamento \
             presso Ufficio Anagrafe.\n\nPer prenotare il tuo appuntamento, [visita questo \
             sito](https://prenota.example.it)."
        );
        assert_eq!(sent.content.due_date.as_deref(), Some("2027-06-30T21:59:59Z"));
        assert!(sent.content.require_secure_channels);
        assert_eq!((sent.livello, sent.ripiego), (Level::Standard, false));
        assert_eq!(sent.testo.len(), 16);
    }
}

#[test]
fn a_due_date_is_the_end_of_the_local_day_or_the_instant_in_utc() {
    let due = |value: &str| {
        let sent = rendered(&ente(false), in_scadenza_on_instant(), fields([("inizio", value)]));
        sent.unwrap().content.due_date.unwrap()
    };
    assert_eq!(due("2027-02-28"), "2027-02-28T22:59:59Z");
    assert_eq!(due("2027-03-28"), "2027-03-28T21:59:59Z");
    assert_eq!(due("2027-03-26T10:30:00+01:00"), "2027-03-26T09:30:00Z");
    assert_eq!(due("2027-03-30T10:30:00+02:00"), "2027-03-30T08:30:00Z");
}

fn in_scadenza_on_instant() -> Messaggio {
    let mut messaggio = in_scadenza();
    messaggio.due_date = Some("inizio".to_owned());
    messaggio.corpo = "Parole che bastano a fare un messaggio abbastanza lungo. ".repeat(3);
    messaggio.variabili.retain(|variabile| variabile.nome != "data_scadenza");
    messaggio
}

#[test]
fn an_attachment_goes_with_the_contract_for_it_only() {
    let with = "Puoi trovare in allegato il testo integrale del contratto in formato PDF.";
    let sent = rendered(&ente(true), contratto(), contratto_fields()).unwrap();
    assert!(sent.content.markdown.contains(with));
    assert!(!sent.content.markdown.starts_with("---"));
    assert_eq!((sent.livello, sent.ripiego), (Level::Advanced, false));
    let third = sent.content.third_party_data.unwrap();
    assert_eq!((third.id.as_str(), third.has_attachments), ("contratto-1", true));
    assert_eq!(third.configuration_id, "01HMVM9W74RWH93NT1EYNKKNNR");

    let mut no_attachment = contratto_fields();
    no_attachment.remove("allegato");
    no_attachment.remove("formato_allegato");
    for (premium, campi) in [(false, contratto_fields()), (true, no_attachment)] {
        let sent = rendered(&ente(premium), contratto(), campi).unwrap();
        assert_eq!(
            sent.content.markdown,
            "Il contratto di locazione per l’alloggio 12/B assegnato in Via Verdi 4 è pronto per la \
             firma.\n\nPer prenotare l'appuntamento per la firma, [visita questo \
             sito](https://prenota.example.it).\n\nPer scaricare il contratto, [visita questo \
             sito](https://casa.example.it/contratti/1)."
        );
        assert_eq!((sent.livello, sent.ripiego), (Level::Standard, false));
        assert!(sent.content.third_party_data.is_none());
    }
}

#[test]
fn a_payment_notice_has_its_cents_and_no_button_of_ours() {
    let sent = rendered(&ente(true), canone(), canone_fields()).unwrap();
    assert!(sent.content.markdown.starts_with("C'è un avviso"));
    assert!(sent.content.markdown.contains("**Devi pagare:** 310,50 €"));
    let payment = sent.content.payment_data.unwrap();
    assert_eq!((payment.amount, payment.notice_number.as_str()), (31_050, "301000000000000001"));
    assert_eq!(sent.livello, Level::Advanced);
}

#[test]
fn a_message_meant_for_premium_falls_back_when_io_refuses_it() {
    for (messaggio, campi, fallback) in [
        (canone(), canone_fields(), true),
        (contratto(), contratto_fields(), true),
        (in_scadenza(), fields([("data_scadenza", "2027-06-30")]), false),
    ] {
        let ente = ente(true);
        let mut request = fixture::request(&ente, SERVIZIO, &messaggio.id, campi);
        request.solo_standard = true;
        let catalogue = fixture::catalogue(vec![messaggio]);
        let texts = Texts::compile(&catalogue, [&ente]).unwrap_or_else(|faults| panic!("{faults:?}"));
        let sent = render(&texts, &catalogue, &ente, &request, InDubbio::Hold).unwrap();
        assert_eq!((sent.livello, sent.ripiego), (Level::Standard, fallback));
        assert!(sent.content.third_party_data.is_none());
        assert!(!sent.content.markdown.contains("in allegato"));
    }
}

#[test]
fn the_event_wins_over_the_permit_and_the_permit_over_the_service() {
    let mut ente = ente(false);
    let service = ente.servizi.get_mut(SERVIZIO).unwrap();
    let questura = [("ufficio".to_owned(), "Questura".to_owned())].into();
    service.variabili_per_permesso.insert("J".to_owned(), questura);
    let told = |more: &[(&str, &str)]| {
        let campi = fields([("data_scadenza", "2027-06-30")].iter().chain(more).copied());
        rendered(&ente, in_scadenza(), campi).unwrap().content.markdown
    };
    assert!(told(&[]).contains("presso Ufficio Anagrafe."));
    assert!(told(&[("tipo_permesso", "O")]).contains("presso Ufficio Anagrafe."));
    assert!(told(&[("tipo_permesso", "J")]).contains("presso Questura."));
    assert!(told(&[("tipo_permesso", "J"), ("ufficio", "URP")]).contains("presso URP."));
}

#[test]
fn an_ente_may_have_its_own_text_button_channel_and_policy() {
    let mut ente = ente(false);
    let service = ente.servizi.get_mut(SERVIZIO).unwrap();
    service.canale_sicuro = Some(false);
    let own = MessaggioEnte {
        titolo: Some("Scade il permesso: {{ ufficio }}".to_owned()),
        corpo: Some("Testo nostro: {{ ufficio }}, fino al {{ data_scadenza }}. ".repeat(2)),
        in_dubbio: Some(InDubbio::Resend),
        ..MessaggioEnte::default()
    };
    service.messaggi.insert("permesso-in-scadenza".to_owned(), own);
    let campi = fields([("data_scadenza", "2027-06-30"), ("ufficio", "Sportello *1*")]);
    let sent = rendered(&ente, in_scadenza(), campi.clone()).unwrap();
    assert_eq!(sent.content.subject, "Scade il permesso: Sportello *1*");
    assert!(sent.content.markdown.contains("Testo nostro: Sportello \\*1\\*, fino al 30/06/2027."));
    assert!(!sent.content.require_secure_channels);
    assert_eq!(sent.in_dubbio, InDubbio::Resend);
    assert_ne!(sent.testo, rendered(&super::fixture::ente(false), in_scadenza(), campi).unwrap().testo);
}

fn failure(ente: &Ente, messaggio: Messaggio, campi: Fields) -> RenderError {
    rendered(ente, messaggio, campi).unwrap_err()
}

#[test]
fn a_failure_names_the_variable_and_never_a_value() {
    let n = ente(false);
    let cases = [
        (fields([]), RenderCode::Variable, "data_scadenza"),
        (fields([("data_scadenza", "segreto")]), RenderCode::Variable, "data_scadenza"),
        (fields([("data_scadenza", "2027-02-29")]), RenderCode::Variable, "data_scadenza"),
        (
            fields([("data_scadenza", "2027-06-30"), ("ufficio", "\u{200B} \n")]),
            RenderCode::Variable,
            "ufficio",
        ),
        (
            fields([("data_scadenza", "2027-06-30"), ("url_prenotazione", "http://segreto.it")]),
            RenderCode::Url,
            "url_prenotazione",
        ),
        (
            fields([("data_scadenza", "2027-06-30"), ("ufficio", &"segreto ".repeat(1_240))]),
            RenderCode::Render,
            "markdown",
        ),
    ];
    for (campi, code, name) in cases {
        let error = failure(&n, in_scadenza(), campi);
        assert_eq!(error.code, code, "{error}");
        assert!(error.reason.contains(&format!("`{name}`")), "{error}");
        assert!(!error.reason.contains("segreto"), "{error}");
    }
}

#[test]
fn payment_and_attachment_fields_are_checked() {
    let with = |name: &str, value: Field| {
        let mut campi = canone_fields();
        campi.insert(name.to_owned(), value);
        failure(&ente(false), canone(), campi).reason
    };
    assert!(with("importo_centesimi", Field::Int(0)).contains("`importo_centesimi`"));
    assert!(with("codice_avviso", Field::Text("401000000000000001".to_owned())).contains("`codice_avviso`"));
    assert!(with("importo", Field::Text("310.50".to_owned())).contains("`importo`"));

    let mut p = ente(true);
    p.servizi.get_mut(SERVIZIO).unwrap().configurazione_remota = None;
    let error = failure(&p, contratto(), contratto_fields());
    assert!(error.reason.contains("`configurazione_remota`"), "{error}");
    let mut campi = contratto_fields();
    campi.remove("formato_allegato");
    assert!(failure(&ente(true), contratto(), campi.clone()).reason.contains("`formato_allegato`"));
    assert!(rendered(&ente(false), contratto(), campi).is_ok());
}

#[test]
fn lengths_are_counted_in_utf_16_units() {
    let with_title = |titolo: &str| {
        let mut messaggio = in_scadenza();
        titolo.clone_into(&mut messaggio.titolo);
        rendered(&ente(false), messaggio, fields([("data_scadenza", "2027-06-30")]))
    };
    assert!(with_title("😀😀😀😀😀").is_ok());
    assert!(with_title("😀😀😀😀a").is_err());
    assert!(with_title(&"a".repeat(120)).is_ok());
    assert!(with_title(&"è".repeat(121)).is_err());

    let with_body = |length: usize| {
        let corpo = "b".repeat(length);
        rendered(&ente(false), messaggio("m", "titolo = 'Dieci e più'", &[], &corpo), Fields::new())
    };
    assert!(with_body(79).is_err());
    assert!(with_body(80).is_ok());
    assert!(with_body(10_000).is_ok());
    assert!(with_body(10_001).is_err());
}

#[test]
fn a_text_with_faults_is_not_compiled_and_all_are_told() {
    let compile_both = |titolo: &str, corpo: &str| {
        let mut messaggio = contratto();
        titolo.clone_into(&mut messaggio.titolo);
        corpo.clone_into(&mut messaggio.corpo);
        let catalogue = fixture::catalogue(vec![messaggio]);
        match Texts::compile(&catalogue, []) {
            Ok(_) => Vec::new(),
            Err(faults) => {
                faults.into_iter().map(|fault| format!("{}: {}", fault.campo, fault.reason)).collect()
            }
        }
    };
    for (titolo, corpo, expected) in [
        ("Titolo\nsu due righe", "x", "titolo: has more than one line"),
        ("Titolo", "---\nit:\n", "corpo: begins with ---"),
        ("Titolo", "{{ ignota }}", "corpo: `ignota` is no variable"),
        ("Titolo", "{% if ignota %}x{% endif %}", "corpo: `ignota` is no variable"),
        ("Titolo", "{% if indirizzo is defined %}x{% endif %}", "corpo: `is` is no variable"),
        ("Titolo", "{{ allegato_premium }}", "corpo: `allegato_premium` is of a type"),
        ("Titolo", "{{ url_contratto }}", "corpo: `url_contratto` is a url outside"),
        ("Titolo", "[x]({{ indirizzo }})", "corpo: `indirizzo` is no url"),
        ("Titolo", "{% if indirizzo %}x", "corpo: is no template"),
        ("{{ indirizzo|upper }}", "x", "titolo: prints `indirizzo|upper`"),
    ] {
        let faults = compile_both(titolo, corpo);
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected}: {faults:?}");
    }
    assert_eq!(compile_both("{{ a }}", "{{ b }} {{ c }}").len(), 3);
}
