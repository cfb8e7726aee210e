//! Permit titles: the reference data of `permits.json`, and the lengths of `validita.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::fault::Fault;

/// The permit titles by code.
#[derive(Debug, Clone, Default)]
pub struct Permits {
    /// Titles by code, for example `M.1`.
    pub titoli: BTreeMap<String, Title>,
    /// The title whose length `lungo_periodo = true` stands for (rules.md R002-2).
    pub lungo_periodo: Option<String>,
}

/// What the planner needs of a permit title, and the whole record for people.
#[derive(Debug, Clone)]
pub struct Title {
    /// Code.
    pub codice: String,
    /// Name in Italian.
    pub nome: String,
    /// Months of validity where the title fixes them: 6 for J (R003-22), 24 for M.1 (R003-28).
    pub mesi: Option<i32>,
    /// Months of validity of a title issued to a minor, where they differ from `mesi`.
    pub mesi_minorenne: Option<i32>,
    /// The record as the file has it.
    pub scheda: serde_json::Value,
}

/// `validita.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lengths {
    lungo_periodo: Option<String>,
    titoli: BTreeMap<String, Length>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Length {
    mesi: i32,
    mesi_minorenne: Option<i32>,
}

impl Permits {
    /// Reads `permits.json` and `validita.toml`, both (file, text).
    ///
    /// # Errors
    /// Every fault found, with its file.
    pub fn parse(permits: (&str, &str), lengths: (&str, &str)) -> Result<Self, Vec<Fault>> {
        let titles = parse_titles(permits.0, permits.1);
        let fixed: Result<Lengths, _> =
            toml::from_str(lengths.1).map_err(|e| vec![Fault::new(lengths.0, "", e.message())]);
        let (mut titoli, fixed) = match (titles, fixed) {
            (Ok(titles), Ok(fixed)) => (titles, fixed),
            (Err(mut faults), Err(more)) => {
                faults.extend(more);
                return Err(faults);
            }
            (Err(faults), _) | (_, Err(faults)) => return Err(faults),
        };
        let mut faults = Vec::new();
        for (codice, length) in &fixed.titoli {
            let key = format!("titoli.{codice}");
            if length.mesi < 1 || length.mesi_minorenne.is_some_and(|months| months < 1) {
                faults.push(Fault::new(lengths.0, &key, "a permit lasts at least a month"));
            }
            match titoli.get_mut(codice) {
                Some(title) => {
                    (title.mesi, title.mesi_minorenne) = (Some(length.mesi), length.mesi_minorenne);
                }
                None => faults.push(Fault::new(lengths.0, key, "no such title in permits.json")),
            }
        }
        let long = fixed.lungo_periodo;
        if long.as_ref().is_some_and(|codice| !fixed.titoli.contains_key(codice)) {
            faults.push(Fault::new(lengths.0, "lungo_periodo", "names a title without a length"));
        }
        if faults.is_empty() { Ok(Self { titoli, lungo_periodo: long }) } else { Err(faults) }
    }

    /// Months of validity that the title, or `lungo_periodo`, fixes; `None` where neither does.
    #[must_use]
    pub fn months(&self, codice: Option<&str>, lungo_periodo: bool, minorenne: bool) -> Option<i32> {
        let codice = if lungo_periodo { self.lungo_periodo.as_deref() } else { codice }?;
        let title = self.titoli.get(codice)?;
        if minorenne { title.mesi_minorenne.or(title.mesi) } else { title.mesi }
    }
}

fn parse_titles(file: &str, text: &str) -> Result<BTreeMap<String, Title>, Vec<Fault>> {
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|e| vec![Fault::new(file, "", e.to_string())])?;
    let Some(records) = value.get("titles").and_then(serde_json::Value::as_array) else {
        return Err(vec![Fault::new(file, "titles", "must be an array")]);
    };
    let mut titoli = BTreeMap::new();
    let mut faults = Vec::new();
    for (place, scheda) in records.iter().enumerate() {
        let text = |key: &str| scheda.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
        let (Some(codice), Some(nome)) = (text("code"), text("name")) else {
            faults.push(Fault::new(file, format!("titles[{place}]"), "needs `code` and `name`"));
            continue;
        };
        let title =
            Title { codice: codice.clone(), nome, mesi: None, mesi_minorenne: None, scheda: scheda.clone() };
        if titoli.insert(codice, title).is_some() {
            faults.push(Fault::new(file, format!("titles[{place}].code"), "the code is there twice"));
        }
    }
    if faults.is_empty() { Ok(titoli) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERMITS: &str = r#"{"titles": [{"code": "J", "name": "Asilo"}, {"code": "LP", "name": "Lungo"}]}"#;

    #[test]
    fn lengths_come_from_the_title_or_the_long_term_mark() {
        let lengths =
            "lungo_periodo = \"LP\"\n[titoli.J]\nmesi = 6\n[titoli.LP]\nmesi = 120\nmesi_minorenne = 60\n";
        let permits = Permits::parse(("p", PERMITS), ("v", lengths)).unwrap();
        for (case, expected) in [
            ((Some("J"), false, false), Some(6)),
            ((Some("J"), false, true), Some(6)),
            ((Some("J"), true, false), Some(120)),
            ((None, true, true), Some(60)),
            ((Some("LP"), false, false), Some(120)),
            ((Some("O"), false, false), None),
            ((None, false, false), None),
        ] {
            assert_eq!(permits.months(case.0, case.1, case.2), expected, "{case:?}");
        }
    }

    #[test]
    fn every_fault_is_named_with_its_file() {
        let faults = Permits::parse(("p", "{\"titles\": [{}]}"), ("v", "titoli = 1")).unwrap_err();
        assert_eq!(faults.iter().map(|f| f.file.as_str()).collect::<Vec<_>>(), ["p", "v"]);
        let faults = Permits::parse(("p", PERMITS), ("v", "lungo_periodo = \"X\"\n[titoli.Z]\nmesi = 0\n"))
            .unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
    }
}
