//! Faults of the event types.

use super::{At, RESERVED, rules};
use crate::domain::catalogue::{Catalogue, Derivato, Regola, Service, TipoCampo, TipoEvento};
use crate::domain::event::field_fault;
use crate::domain::fault::Fault;

pub(super) fn check(catalogue: &Catalogue, service: &Service, event: &TipoEvento, faults: &mut Vec<Fault>) {
    let mut at = At::new(service, "eventi", &event.tipo, "toml", faults);
    if !is_type_name(&event.tipo) {
        at.fault("tipo", "must be words of lower-case letters joined by `-` and `.`, with a `.` at least");
    }
    for other in catalogue.servizi.values().filter_map(|s| s.eventi.get(&event.tipo)) {
        if other.lista != event.lista {
            at.fault("lista", "must be the same in every service");
        }
    }
    fields(catalogue, &mut at, event);
    identity(&mut at, event);
    requirements(&mut at, event);
    derived(&mut at, event);
    if let Some(person) = &event.persona {
        rules::conditions(&mut at, "persona.dove", &person.dove, &[&event.tipo]);
        let is_list = |nome: &String| event.field(nome).is_some_and(|f| f.tipo == TipoCampo::CodiciFiscali);
        if person.campo.as_ref().is_some_and(|nome| !is_list(nome)) {
            at.fault("persona.campo", "must be a field of type `codici-fiscali`");
        }
    }
}

fn is_type_name(tipo: &str) -> bool {
    let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase());
    tipo.contains('.') && tipo.split(['.', '-']).all(word)
}

fn fields(catalogue: &Catalogue, at: &mut At<'_>, event: &TipoEvento) {
    for (place, campo) in event.campi.iter().enumerate() {
        let key = format!("campi[{place}].nome");
        if RESERVED.contains(&campo.nome.as_str()) {
            at.fault(&key, format!("`{}` is taken by the fleet", campo.nome));
        }
        if event.campi[..place].iter().any(|other| other.nome == campo.nome) {
            at.fault(&key, format!("`{}` is there twice", campo.nome));
        }
        if (campo.tipo == TipoCampo::Enum) == campo.valori.is_empty() {
            at.fault(format!("campi[{place}].valori"), "an enum needs values, any other type has none");
        }
        if matches!(campo.tipo, TipoCampo::Ora | TipoCampo::Importo) {
            at.fault(format!("campi[{place}].tipo"), "is only ever computed");
        }
        let is_person = matches!(campo.tipo, TipoCampo::CodiceFiscale | TipoCampo::CodiciFiscali);
        if !is_person && let Some(reason) = field_fault(campo, &campo.example(), &catalogue.permessi) {
            at.fault(format!("campi[{place}].esempio"), reason);
        }
    }
}

fn identity(at: &mut At<'_>, event: &TipoEvento) {
    for nome in &event.identita {
        let good = event.campi.iter().any(|c| {
            let textual = matches!(c.tipo, TipoCampo::Testo | TipoCampo::Enum | TipoCampo::CodiceAvviso);
            c.nome == *nome && c.obbligatorio && textual
        });
        if !good {
            at.fault("identita", format!("`{nome}` must be a required field of text, enum or notice number"));
        }
    }
    let kin: Vec<&TipoEvento> = at.service.eventi.values().filter(|e| e.cosa == event.cosa).collect();
    if kin.iter().any(|other| other.identita != event.identita) {
        at.fault("identita", format!("must be the same in every event of `{}`", event.cosa));
    }
    if event.modifica && kin.iter().all(|other| other.modifica) {
        at.fault("modifica", format!("no event first tells of `{}`", event.cosa));
    }
}

fn requirements(at: &mut At<'_>, event: &TipoEvento) {
    let is_field = |nome: &String| event.campi.iter().any(|c| c.nome == *nome);
    for (place, group) in event.almeno_uno.iter().enumerate() {
        if group.is_empty() || !group.iter().all(is_field) {
            at.fault(format!("almeno_uno[{place}]"), "must name fields of the event");
        }
    }
    for (place, required) in event.richiesti_se.iter().enumerate() {
        if required.campi.is_empty() || !required.campi.iter().all(is_field) {
            at.fault(format!("richiesti_se[{place}].campi"), "must name fields of the event");
        }
        let key = format!("richiesti_se[{place}].dove");
        rules::conditions(at, &key, &required.dove, &[&event.tipo]);
    }
    for (place, pair) in event.in_ordine.iter().enumerate() {
        let is_date = |nome: &String| event.field(nome).is_some_and(|f| f.tipo == TipoCampo::Data);
        if !pair.iter().all(is_date) {
            at.fault(format!("in_ordine[{place}]"), "must name two dates of the event");
        }
    }
}

fn derived(at: &mut At<'_>, event: &TipoEvento) {
    for (place, derivato) in event.derivati.iter().enumerate() {
        if let Some(reason) = derived_fault(event, place, derivato) {
            at.fault(format!("derivati[{place}]"), reason);
        }
    }
}

fn derived_fault(event: &TipoEvento, place: usize, derivato: &Derivato) -> Option<String> {
    let needed = match derivato.regola {
        Regola::Costante | Regola::DataEvento => None,
        Regola::DataLocale | Regola::OraLocale => Some(TipoCampo::Istante),
        Regola::Somma | Regola::ScadenzaPermesso => Some(TipoCampo::Data),
        Regola::Importo => Some(TipoCampo::Centesimi),
    };
    let given = derivato.da.as_ref().and_then(|da| {
        let earlier = event.derivati[..place].iter().any(|d| d.nome == *da);
        let field = event.campi.iter().any(|c| c.nome == *da);
        if earlier || field { event.field(da).map(|f| f.tipo) } else { None }
    });
    if needed != given {
        return Some("`da` must name an earlier field of the type that the rule computes from".to_owned());
    }
    if (derivato.regola == Regola::Costante) != derivato.valore.is_some() {
        return Some("`valore` goes with the rule `costante`".to_owned());
    }
    let own = event.campi.iter().find(|c| c.nome == derivato.nome)?;
    let computed = TipoEvento { campi: Vec::new(), ..event.clone() };
    let computed = computed.field(&derivato.nome)?;
    (computed.tipo != own.tipo).then(|| format!("`{}` is a field of another type", derivato.nome))
}
