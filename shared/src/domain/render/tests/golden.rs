//! Every message type of the real catalogue, for an ente without Premium and one with, against the files
//! of `golden/`. After a wanted change: `UPDATE_GOLDEN=1 cargo test -p shared golden`, then read the diff.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::fixture::{self, ente, fields};
use crate::domain::catalogue::{Catalogue, InDubbio};
use crate::domain::render::{Texts, render};
use crate::domain::{Field, Fields};
use crate::wire::DispatchRequest;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/domain/render/golden")
}

/// The catalogue that the fleet ships.
pub(super) fn real_catalogue() -> Catalogue {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue");
    Catalogue::load(&root).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// The values of the stories of rules.md section 10, for every variable of every message type.
pub(super) fn story_fields() -> Fields {
    let mut campi = fields([
        ("allegato", "bando.pdf"),
        ("causale", "Canone aprile 2027"),
        ("codice_avviso", "301000000000000001"),
        ("cognome", "Rossi"),
        ("data_apertura", "2027-04-15"),
        ("data_appuntamento", "2027-03-26"),
        ("data_assegnazione", "2027-07-05"),
        ("data_chiusura", "2027-04-30"),
        ("data_limite_dimora", "2027-03-16"),
        ("data_limite_integrazione", "2027-03-30"),
        ("data_limite_invito", "2027-06-02"),
        ("data_presa_in_carico", "2026-12-07"),
        ("data_pubblicazione", "2027-01-12"),
        ("data_rilascio", "2027-01-15"),
        ("data_scadenza", "2027-06-30"),
        ("formato_allegato", "PDF"),
        ("importo", "310,50"),
        ("indirizzo", "Via Roma 1"),
        ("inizio", "2027-03-26T10:30:00+01:00"),
        ("nome", "Mario"),
        ("numero_pratica", "2026/0451"),
        ("numero_prenotazione", "41"),
        ("numero_protocollo", "2027/1187"),
        ("oggetto_appuntamento", "dichiarazione di dimora abituale"),
        ("oggetto_pratica", "rinnovo del permesso di soggiorno"),
        ("ora_appuntamento", "10:30"),
        ("riferimento_alloggio", "12/B"),
        ("tipo_pratica", "rinnovo"),
        ("url_bando", "https://casa.example.it/bandi/B27"),
        ("url_contratto", "https://casa.example.it/contratti/1"),
        ("url_graduatoria", "https://casa.example.it/graduatorie/B27"),
    ]);
    campi.insert("importo_centesimi".to_owned(), Field::Int(31_050));
    campi
}

/// A message as a golden file shows it.
fn shown(sent: &DispatchRequest) -> String {
    let content = &sent.content;
    let mut head = vec![
        format!("subject: {}", content.subject),
        format!("level: {}", sent.livello.as_str()),
        format!("secure channels: {}", content.require_secure_channels),
    ];
    head.extend(content.due_date.iter().map(|due| format!("due date: {due}")));
    head.extend(content.payment_data.iter().map(|p| format!("payment: {} {}", p.amount, p.notice_number)));
    head.extend(
        content.third_party_data.iter().map(|t| format!("attachment: {} {}", t.id, t.configuration_id)),
    );
    head.push(format!("text version: {}", sent.testo));
    format!("{}\n\n{}\n", head.join("\n"), content.markdown)
}

#[test]
fn every_message_type_is_as_its_golden_file_says() {
    let catalogue = real_catalogue();
    let enti = [ente(false), ente(true)];
    let texts = Texts::compile(&catalogue, &enti).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let mut expected = BTreeSet::new();
    for (servizio, service) in &catalogue.servizi {
        for id in service.messaggi.keys() {
            let both = enti.iter().map(|ente| {
                let request = fixture::request(ente, servizio, id, story_fields());
                let sent = render(&texts, &catalogue, ente, &request, InDubbio::Hold);
                format!("== ente {} ==\n{}", ente.id, shown(&sent.unwrap_or_else(|e| panic!("{id}: {e}"))))
            });
            let both = both.collect::<Vec<_>>().join("\n");
            let path = folder().join(format!("{id}.txt"));
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                fs::create_dir_all(folder()).unwrap();
                fs::write(&path, &both).unwrap();
            }
            assert_eq!(fs::read_to_string(&path).unwrap_or_default(), both, "{}", path.display());
            expected.insert(format!("{id}.txt"));
        }
    }
    let found = fs::read_dir(folder()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
    assert_eq!(expected.len(), 22);
}
