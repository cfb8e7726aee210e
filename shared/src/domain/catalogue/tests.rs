//! The shipped catalogue: complete, to the letter, and open to new services.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;
use sha2::{Digest, Sha256};

use super::*;
use crate::domain::calendar::Calendar;

/// The catalogue of this repository.
pub(crate) fn shipped() -> Catalogue {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue");
    Catalogue::load(&dir).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn shipped_source() -> Source {
    Source::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue")).unwrap()
}

/// First 16 hex digits of SHA-256 over title, line break and text, from the service models. A change here
/// changes what citizens read.
const TEXTS: [(&str, &str); 22] = [
    ("permesso-in-scadenza", "ae3885161dc3ed6f"),
    ("permesso-appuntamento-anagrafe-confermato", "2e2e73945fcbdaa1"),
    ("permesso-pratica-presa-in-carico", "43de1c6476f17a3c"),
    ("permesso-pratica-conclusa", "5b42420e8da4199b"),
    ("permesso-appuntamento-dimora-confermato", "4d72f072268fd382"),
    ("permesso-cancellazione-avviata", "0a43d7e2f7a39e11"),
    ("permesso-cancellazione-disposta", "b9f8ec0754ef4861"),
    ("alloggi-bando-pubblicato", "8e65f30c65ab9577"),
    ("alloggi-appuntamento-domanda-confermato", "2c1447370a375006"),
    ("alloggi-avviso-spese-segreteria", "b888cefc288f44dd"),
    ("alloggi-avviso-spese-segreteria-in-scadenza", "7de21d29ae5d2af7"),
    ("alloggi-domanda-presa-in-carico", "62ec28e1edf91642"),
    ("alloggi-integrazione-documentazione", "4790ab3466a3b55e"),
    ("alloggi-assegnazione-aperta", "4bf6f1d0097f17b8"),
    ("alloggi-graduatoria-provvisoria", "2a85cb6fcca0ac51"),
    ("alloggi-graduatoria-definitiva", "622cd5743ec9146d"),
    ("alloggi-assegnazione-dettagli", "73ccc9614f4b267d"),
    ("alloggi-contratto-pronto-firma", "3a92b460e6c49478"),
    ("alloggi-appuntamento-firma-confermato", "9c5b19dba6ae108a"),
    ("alloggi-avviso-canone", "831483002d2c2fef"),
    ("alloggi-avviso-canone-in-scadenza", "7de21d29ae5d2af7"),
    ("alloggi-avviso-canone-mancato-pagamento", "327ad0646082c975"),
];

#[test]
fn the_22_texts_are_those_of_the_service_models() {
    let catalogue = shipped();
    let messages: Vec<&Messaggio> = catalogue.servizi.values().flat_map(|s| s.messaggi.values()).collect();
    assert_eq!(messages.len(), TEXTS.len());
    for (id, expected) in TEXTS {
        let message = messages.iter().find(|m| m.id == id).unwrap();
        let digest = Sha256::digest(format!("{}\n{}", message.titolo, message.corpo));
        let found = digest[..8].iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat();
        assert_eq!(found, expected, "{id}");
    }
}

#[test]
fn the_counts_are_those_of_the_index() {
    let catalogue = shipped();
    let messages: Vec<&Messaggio> = catalogue.servizi.values().flat_map(|s| s.messaggi.values()).collect();
    let count = |test: &dyn Fn(&Messaggio) -> bool| messages.iter().filter(|m| test(m)).count();
    assert_eq!(catalogue.servizi["permesso-soggiorno"].messaggi.len(), 7);
    assert_eq!(catalogue.servizi["alloggi-sociali"].messaggi.len(), 15);
    assert_eq!(count(&|m| m.regola.momento.ancora.is_none()), 17);
    assert_eq!(count(&|m| m.regola.momento.subito_se_oggi), 1);
    assert_eq!(count(&|m| m.premium == Premium::PromemoriaAppuntamento), 4);
    assert_eq!(count(&|m| m.premium == Premium::PromemoriaPagamento), 2);
    assert_eq!(count(&|m| m.premium == Premium::Allegato), 2);
    assert_eq!(count(&|m| m.premium == Premium::Nessuno), 14);
    let suppressed =
        |m: &Messaggio, motivo| m.regola.soppresso_da.as_ref().is_some_and(|s| s.motivo == motivo);
    assert_eq!(count(&|m| suppressed(m, "premium")), 2);
    assert_eq!(count(&|m| suppressed(m, "firma-con-io")), 1);
    assert_eq!(count(&|m| m.pulsante.is_none()), 6);
    let mut numbers: Vec<u32> = messages.iter().map(|m| m.numero).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=22).collect::<Vec<_>>());
    let mut variables: Vec<&str> =
        messages.iter().flat_map(|m| &m.variabili).map(|v| v.nome.as_str()).collect();
    variables.sort_unstable();
    variables.dedup();
    assert_eq!(variables.len(), 39 + 2, "39 variables and the two payment fields");
}

#[test]
fn there_are_29_event_types_and_8_office_timers() {
    let catalogue = shipped();
    assert_eq!(catalogue.tipi_evento().len(), 29);
    let lists: Vec<&str> = catalogue
        .servizi
        .values()
        .flat_map(|s| s.eventi.values())
        .filter(|e| e.lista)
        .map(|e| e.tipo.as_str())
        .collect();
    assert_eq!(lists, ["assegnazione.aperta", "bando.pubblicato", "graduatoria.pubblicata"]);
    let timers: BTreeMap<&str, bool> = catalogue
        .servizi
        .values()
        .flat_map(|s| s.timer.values())
        .map(|t| (t.codice.as_str(), t.attivo))
        .collect();
    let expected = [("O1", true), ("O2", true), ("O3", true), ("O4", true), ("O5", true), ("O6", true)];
    assert_eq!(timers, expected.into_iter().chain([("O7", false), ("O8", false)]).collect());
}

#[test]
fn the_holidays_are_those_of_the_law_with_the_year_they_begin() {
    let catalogue = shipped();
    let calendar = Calendar { zone: chrono_tz::Europe::Rome, holidays: &catalogue.festivita, local: &[] };
    let is_working = |y, m, d| calendar.is_working_day(NaiveDate::from_ymd_opt(y, m, d).unwrap());
    for (month, day) in [(1, 1), (1, 6), (6, 2), (12, 8), (12, 25)] {
        assert!(!is_working(2027, month, day), "{day}/{month}");
    }
    assert!(!is_working(2027, 3, 29), "Easter Monday");
    assert!(is_working(2024, 10, 4), "4 October before 2026");
    assert!(!is_working(2027, 10, 4), "4 October from 2026");
}

#[test]
fn permit_titles_carry_the_lengths_that_the_rules_fix() {
    let permits = shipped().permessi;
    assert_eq!(permits.months(Some("J"), false, false), Some(6));
    assert_eq!(permits.months(Some("M.1"), false, false), Some(24));
    assert_eq!(permits.months(Some("O"), true, false), Some(120));
    assert_eq!(permits.months(Some("O"), true, true), Some(60));
    assert_eq!(permits.months(Some("O"), false, false), None);
}

const SHEET: &str = r#"id = "biblioteca"
nome = "Biblioteca"
argomento = "Cultura"
descrizione = "Prenotazioni e prestiti."
pulsante = "Prenota"
ciclo_di_vita = ["Prestito"]
"#;

const BOOKED: &str = r#"tipo = "visita.prenotata"
descrizione = "A visit was booked."
effetto = "Reminds of it the day before."
cosa = "visita"
identita = ["id_visita"]

[[campi]]
nome = "id_visita"
tipo = "testo"
obbligatorio = true

[[campi]]
nome = "giorno"
tipo = "data"
obbligatorio = true
"#;

const REMINDER: &str = r#"+++
id = "biblioteca-promemoria-visita"
numero = 23
fonte = "manual"
significato = "appointment reminder"
fase = ["Prestito"]
titolo = "Ricordati del tuo appuntamento"
destinatari = "Chi ha prenotato."
quando = "Quando l'appuntamento è imminente."
user_story = "Come lettore voglio un promemoria."
corpo_minimo = 81

[[variabili]]
nome = "giorno"
tipo = "data"
origine = "evento"

[[variabili]]
nome = "comune"
tipo = "testo"
origine = "ente"

[[regola.innesco]]
evento = "visita.prenotata"

[regola.momento]
ancora = "giorno"
scatti = [-1]
in_ritardo = "salta"
utile_fino_a = "giorno"
+++
Ti ricordiamo l'appuntamento del {{ giorno }} presso la biblioteca del Comune di {{ comune }}.
"#;

#[test]
fn a_third_service_is_files_and_no_code() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = shipped_source().files;
    files.insert("biblioteca/servizio.toml".into(), SHEET.into());
    files.insert("biblioteca/eventi/visita.prenotata.toml".into(), BOOKED.into());
    files.insert("biblioteca/messaggi/biblioteca-promemoria-visita.md".into(), REMINDER.into());
    for (path, text) in &files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let catalogue = Catalogue::load(dir.path()).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(catalogue.servizi.len(), 3);
    assert_eq!(catalogue.tipi_evento().len(), 30);
    let message = &catalogue.servizi["biblioteca"].messaggi["biblioteca-promemoria-visita"];
    assert!(message.corpo.ends_with("{{ comune }}."));
}

/// Faults of the shipped catalogue with one file changed.
fn faults_with(path: &str, from: &str, to: &str) -> Vec<String> {
    let mut source = shipped_source();
    let text = source.files.get_mut(path).unwrap();
    assert!(text.contains(from), "{path}: {from}");
    *text = text.replacen(from, to, 1);
    Catalogue::parse(&source).unwrap_err().iter().map(ToString::to_string).collect()
}

const RENT: &str = "alloggi-sociali/messaggi/alloggi-avviso-canone.md";
const RENT_DUE: &str = "alloggi-sociali/messaggi/alloggi-avviso-canone-in-scadenza.md";
const EXPIRING: &str = "permesso-soggiorno/messaggi/permesso-in-scadenza.md";
const CONCLUDED: &str = "permesso-soggiorno/messaggi/permesso-pratica-conclusa.md";
const RENEWED: &str = "permesso-soggiorno/eventi/permesso.rinnovato.toml";
const NOTICE: &str = "alloggi-sociali/eventi/pagamento.avviso-emesso.toml";
const O1: &str = "permesso-soggiorno/timer/dimora-non-dichiarata.toml";

/// File, text in it, what it becomes, and a part of the fault that follows.
const FAULTY: [[&str; 4]; 29] = [
    [EXPIRING, "id = \"permesso-", "id = \"permessi-", "id: must equal the file's name"],
    [EXPIRING, "numero = 1", "numero = \"uno\"", "numero: invalid type"],
    [EXPIRING, "numero = 1", "numero = 1\nnumeri = 1", "numeri"],
    [EXPIRING, "+++", "++", "must begin with a record"],
    [EXPIRING, "dovrai prendere", "{{ dove }}", "`dove` is not declared"],
    [EXPIRING, "{{ ufficio }}", "noi", "`ufficio` is declared and not used"],
    [EXPIRING, "{{ ufficio }}", "{{ ufficio", "corpo: line"],
    [EXPIRING, "sta per scadere", "{{ ufficio }}", "titolo: can have"],
    [EXPIRING, "Il tuo permesso di soggiorno sta per scadere", "Scade", "titolo: can have 5"],
    [EXPIRING, "corpo_minimo = 178", "corpo_minimo = 179", "corpo_minimo: the text's shortest form"],
    [
        EXPIRING,
        "ancora = \"data_scadenza\"",
        "ancora = \"scadenza\"",
        "momento.ancora: `scadenza` is no field",
    ],
    [EXPIRING, "[-90, -60, -30]", "[-30, -60]", "momento.scatti: must go from the earliest"],
    [EXPIRING, "tipo_pratica = \"rinnovo\"", "tipo_pratica = \"altro\"", "`tipo_pratica` is never `altro`"],
    [
        EXPIRING,
        "evento = \"permesso.cessato\"",
        "evento = \"permesso.perso\"",
        "`permesso.perso` is no event",
    ],
    [EXPIRING, "cosa = \"appuntamento\"", "cosa = \"visita\"", "does not speak of `visita`"],
    [EXPIRING, "Rinnovo", "Fine", "fase: is not in"],
    [
        CONCLUDED,
        "{% if tipo_pratica == \"rinnovo\" %}rinnovato{% else %}rilasciato",
        "{% if tipo_pratica == \"x\" %}rinnovato{% else %}rilasciato",
        "corpo: `tipo_pratica` is never `x`",
    ],
    [
        CONCLUDED,
        "dimora_da_dichiarare = false",
        "dimora_da_dichiarare = \"no\"",
        "`dimora_da_dichiarare` is never `no`",
    ],
    [RENT, "gia-pagato", "pagato", "`pagato` is not one of"],
    [RENT, "tipo = \"codice-avviso\"", "tipo = \"testo\"", "pagamento: needs the variables"],
    [
        RENT_DUE,
        "premium_di = \"alloggi-avviso-canone\"",
        "premium_di = \"alloggi-x\"",
        "is no Premium message",
    ],
    [RENEWED, "nome = \"data_rilascio\"", "nome = \"titolare\"", "`titolare` is taken by the fleet"],
    [RENEWED, "da = \"data_rilascio\"", "da = \"tipo_permesso\"", "derivati[0]: `da` must name"],
    [NOTICE, "esempio = \"2027-04-10\"", "esempio = \"2027-02-30\"", "esempio: is no day of the calendar"],
    [
        NOTICE,
        "identita = [\"codice_avviso\"]",
        "identita = [\"codice\"]",
        "identita: `codice` must be a required field",
    ],
    [O1, "data_dichiarazione", "data_detta", "`data_detta` is no field of `dimora.dichiarata`"],
    ["festivita.toml", "mese = 12", "mese = 13", "falls on no day"],
    ["validita.toml", "LP]", "LX]", "no such title"],
    ["permesso-soggiorno/servizio.toml", "id = \"p", "id = \"q", "id: must equal the folder's name"],
];

#[test]
fn each_kind_of_fault_is_found_and_named() {
    for [path, from, to, expected] in FAULTY {
        let faults = faults_with(path, from, to);
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{path}, {to}: {faults:#?}");
    }
}

#[test]
fn all_faulty_files_are_told_at_once() {
    let mut source = shipped_source();
    source.files.remove("festivita.toml");
    source.files.insert("alloggi-sociali/eventi/x.toml".into(), "tipo = 1".into());
    source.files.insert("alloggi-sociali/altro/x.toml".into(), String::new());
    source.files.insert("nuovo/eventi/a.b.toml".into(), String::new());
    let faults = Catalogue::parse(&source).unwrap_err();
    let files: Vec<&str> = faults.iter().map(|f| f.file.as_str()).collect();
    for file in [
        "festivita.toml",
        "alloggi-sociali/eventi/x.toml",
        "alloggi-sociali/altro/x.toml",
        "nuovo/eventi/a.b.toml",
        "nuovo/servizio.toml",
    ] {
        assert!(files.contains(&file), "{file}: {files:?}");
    }
}
