//! A small catalogue, an ente with and one without Premium, and requests.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::domain::calendar::{Holiday, Holidays};
use crate::domain::catalogue::{Catalogue, InDubbio, Messaggio, Service};
use crate::domain::ente::{ContrattoPremium, Ente, IoAccount, ServizioEnte};
use crate::domain::permits::Permits;
use crate::domain::render::{RenderError, Texts, render};
use crate::domain::{Field, Fields, FiscalCode};
use crate::formats;
use crate::wire::{DispatchRequest, MessageRef, RenderRequest};

/// The service of the fixture.
pub(super) const SERVIZIO: &str = "prova";

/// A message type: its own keys as TOML, variables as `nome:tipo:origine`, and its text.
pub(super) fn messaggio(id: &str, keys: &str, variabili: &[&str], corpo: &str) -> Messaggio {
    let mut record = format!(
        "id = '{id}'\nnumero = 1\nfonte = ''\nsignificato = ''\nfase = []\ndestinatari = ''\nquando = ''\n\
         user_story = ''\ncorpo_minimo = 80\n{keys}\n{}\n\
         [regola]\ninnesco = []\n[regola.momento]\n",
        if variabili.is_empty() { "variabili = []" } else { "" }
    );
    for variabile in variabili {
        let mut parts = variabile.splitn(4, ':');
        let mut part = || parts.next().unwrap_or_default();
        write!(
            record,
            "[[variabili]]\nnome = '{}'\ntipo = '{}'\norigine = '{}'\n{}\n",
            part(),
            part(),
            part(),
            part()
        )
        .unwrap();
    }
    let mut messaggio: Messaggio = toml::from_str(&record).unwrap();
    corpo.clone_into(&mut messaggio.corpo);
    messaggio
}

/// A catalogue of these message types.
pub(super) fn catalogue(messaggi: Vec<Messaggio>) -> Catalogue {
    let scheda = toml::from_str(&format!(
        "id = '{SERVIZIO}'\nnome = 'Prova'\nargomento = ''\ndescrizione = ''\npulsante = ''"
    ));
    let service = Service {
        scheda: scheda.unwrap(),
        eventi: BTreeMap::new(),
        messaggi: messaggi.into_iter().map(|messaggio| (messaggio.id.clone(), messaggio)).collect(),
        timer: BTreeMap::new(),
    };
    let republic = Holiday { mese: 6, giorno: 2, nome: "Festa della Repubblica".to_owned(), dal: 0 };
    Catalogue {
        servizi: BTreeMap::from([(SERVIZIO.to_owned(), service)]),
        permessi: Permits::default(),
        digest: String::new(),
        festivita: Holidays::new(vec![republic], vec![1]),
    }
}

/// The ente of rules.md section 10: N without Premium, P with.
pub(super) fn ente(premium: bool) -> Ente {
    let variabili = [
        ("ufficio", "Ufficio Anagrafe"),
        ("sportello", "Sportello Casa"),
        ("canale", "PEC"),
        ("url_prenotazione", "https://prenota.example.it"),
        ("url_info", "https://info.example.it"),
        ("url_disdetta", "https://prenota.example.it/disdici"),
        ("url_pratica", "https://pratiche.example.it/{numero_pratica}"),
        ("url_domanda", "https://pratiche.example.it/domande/{numero_protocollo}"),
    ];
    let servizio = ServizioEnte {
        configurazione_remota: Some("01HMVM9W74RWH93NT1EYNKKNNR".to_owned()),
        variabili: variabili.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..ServizioEnte::default()
    };
    let servizi = [SERVIZIO, "permesso-soggiorno", "alloggi-sociali"];
    Ente {
        id: if premium { "p" } else { "n" }.to_owned(),
        denominazione: "Comune di Borgochiaro".to_owned(),
        comune: "Borgochiaro".to_owned(),
        fuso: chrono_tz::Europe::Rome,
        festivita_locali: Vec::new(),
        io: IoAccount { account: "borgochiaro".to_owned(), calls_per_5s: 150 },
        premium: ContrattoPremium {
            promemoria: premium,
            allegati: premium,
            promemoria_anche_con_premium: false,
        },
        servizi: servizi.iter().map(|id| ((*id).to_owned(), servizio.clone())).collect(),
    }
}

/// Fields of texts.
pub(super) fn fields<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Fields {
    texts.into_iter().map(|(name, text)| (name.to_owned(), Field::Text(text.to_owned()))).collect()
}

/// A request for that message type.
pub(super) fn request(ente: &Ente, servizio: &str, messaggio: &str, campi: Fields) -> RenderRequest {
    RenderRequest {
        v: formats::RENDER.written(),
        message: MessageRef {
            ente: ente.id.clone(),
            servizio: servizio.to_owned(),
            pratica: "P1".to_owned(),
            messaggio: messaggio.to_owned(),
            chiave: "k".to_owned(),
            evento: "e".to_owned(),
            caso: "c".to_owned(),
            slot: 0,
            attempt: 1,
            traceparent: None,
        },
        codice_fiscale: FiscalCode::parse("AAAAAA00A00A000A").unwrap(),
        campi,
        solo_standard: false,
        dovuto_ms: 1,
        utile_fino_ms: None,
        accolto_ms: None,
    }
}

/// Renders one message type for an ente.
pub(super) fn rendered(
    ente: &Ente,
    messaggio: Messaggio,
    campi: Fields,
) -> Result<DispatchRequest, RenderError> {
    let request = request(ente, SERVIZIO, &messaggio.id, campi);
    let catalogue = catalogue(vec![messaggio]);
    let texts = Texts::compile(&catalogue, [ente]).map_err(|faults| format!("{faults:?}")).unwrap();
    render(&texts, &catalogue, ente, &request, InDubbio::Hold)
}
