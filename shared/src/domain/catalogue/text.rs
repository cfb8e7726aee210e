//! Looks into a text: which variables it uses, how short and how long it can get.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Environment, UndefinedBehavior, Value};

use super::{TipoCampo, Variabile};

/// The one variable that the fleet computes: the ente sends Premium attachments and the event has one.
pub(crate) const ATTACHMENT: &str = "allegato_premium";

/// Most combinations of enum values and switches that a text is tried with.
const MOST_COMBINATIONS: usize = 256;

/// Longest url taken in an event or an ente file, characters.
pub(crate) const LONGEST_URL: usize = 2048;

/// Length that a text variable counts for in the worst case, UTF-16 units. An event may give up to 1,000
/// characters, but a text that only fits with less is still a good text: what is too long in fact is
/// refused when it is rendered.
const LONG_TEXT: usize = 500;

/// A template, looked into.
pub(crate) struct Text {
    environment: Environment<'static>,
    /// Variables it names.
    pub(crate) variables: BTreeSet<String>,
    /// Values that it compares a variable with.
    pub(crate) comparisons: Vec<(String, String)>,
}

/// How a text can come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// Fewest characters.
    pub(crate) shortest: usize,
    /// Most UTF-16 units.
    pub(crate) longest: usize,
}

impl Text {
    /// Parses a text. The error says what is wrong and in which line.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_template_owned("text", source.to_owned()).map_err(|e| told(&e))?;
        let template = environment.get_template("text").map_err(|e| told(&e))?;
        let variables = template.undeclared_variables(false).into_iter().collect();
        Ok(Self { variables, comparisons: comparisons(source), environment })
    }

    /// Tries every combination of enum values and switches, with the shortest and the longest values.
    pub(crate) fn lengths(&self, variables: &[Variabile]) -> Result<Lengths, String> {
        let mut lengths = Lengths { shortest: usize::MAX, longest: 0 };
        for choice in combinations(variables)? {
            let short = self.render(variables, &choice, shortest)?;
            let long = self.render(variables, &choice, longest)?;
            lengths.shortest = lengths.shortest.min(short.chars().count());
            lengths.longest = lengths.longest.max(long.encode_utf16().count());
        }
        Ok(lengths)
    }

    fn render(
        &self,
        variables: &[Variabile],
        choice: &BTreeMap<&str, Value>,
        sample: fn(TipoCampo) -> String,
    ) -> Result<String, String> {
        let attached = choice.get(ATTACHMENT).is_some_and(Value::is_true);
        let plain = variables.iter().filter(|v| !choice.contains_key(v.nome.as_str()));
        let mut values: BTreeMap<&str, Value> = plain
            .filter(|v| attached || !v.solo_con_allegato)
            .map(|v| (v.nome.as_str(), Value::from(sample(v.tipo))))
            .collect();
        values.extend(choice.iter().map(|(name, value)| (*name, value.clone())));
        let template = self.environment.get_template("text").map_err(|e| told(&e))?;
        template.render(values).map_err(|e| told(&e))
    }
}

fn told(error: &minijinja::Error) -> String {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    error.line().map_or_else(|| detail.clone(), |line| format!("line {line}: {detail}"))
}

/// The shortest printed form: for money that of the source's placeholder, `00,00`.
fn shortest(tipo: TipoCampo) -> String {
    let text = match tipo {
        TipoCampo::Data => "01/01/2027",
        TipoCampo::Ora => "09:00",
        TipoCampo::Importo => "10,00",
        TipoCampo::Url => "https://a.it",
        TipoCampo::CodiceAvviso => "000000000000000000",
        _ => "x",
    };
    text.to_owned()
}

fn longest(tipo: TipoCampo) -> String {
    match tipo {
        TipoCampo::Url => "x".repeat(LONGEST_URL),
        TipoCampo::Importo => "99.999.999,99".to_owned(),
        TipoCampo::Testo => "x".repeat(LONG_TEXT),
        TipoCampo::Allegato => "x".repeat(128),
        TipoCampo::Intero | TipoCampo::Centesimi => "9999999999".to_owned(),
        TipoCampo::Istante => "2027-01-01T09:00:00+01:00".to_owned(),
        _ => shortest(tipo),
    }
}

fn combinations(variables: &[Variabile]) -> Result<Vec<BTreeMap<&str, Value>>, String> {
    let mut all = vec![BTreeMap::new()];
    for variable in variables {
        let values: Vec<Value> = match variable.tipo {
            TipoCampo::Bool => vec![Value::from(false), Value::from(true)],
            TipoCampo::Enum => variable.valori.iter().map(|v| Value::from(v.as_str())).collect(),
            _ => continue,
        };
        if all.len() * values.len() > MOST_COMBINATIONS {
            return Err(format!("branches in more than {MOST_COMBINATIONS} ways"));
        }
        all = all
            .iter()
            .flat_map(|choice: &BTreeMap<&str, Value>| {
                values.iter().map(move |value| {
                    let mut choice = choice.clone();
                    choice.insert(variable.nome.as_str(), value.clone());
                    choice
                })
            })
            .collect();
    }
    Ok(all)
}

/// Every `variable == "value"` and `variable != "value"` within the tags of a text.
fn comparisons(source: &str) -> Vec<(String, String)> {
    let tags = source.split("{%").skip(1).filter_map(|rest| rest.split("%}").next());
    let mut found = Vec::new();
    for tag in tags {
        let words: Vec<&str> = tag.split_whitespace().collect();
        for three in words.windows(3) {
            let value = three[2].trim_matches(['"', '\'']);
            if matches!(three[1], "==" | "!=") && value.len() < three[2].len() {
                found.push((three[0].to_owned(), value.to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalogue::Origine;

    fn variable(nome: &str, tipo: TipoCampo, valori: &[&str]) -> Variabile {
        Variabile {
            nome: nome.into(),
            tipo,
            origine: Origine::Evento,
            valori: valori.iter().map(|v| (*v).to_owned()).collect(),
            segnaposto: String::new(),
            solo_con_allegato: nome == "formato",
            ripiego: None,
        }
    }

    #[test]
    fn every_branch_is_measured() {
        let text = Text::parse(r#"{% if tipo == "breve" %}a{% else %}abc{{ nome }}{% endif %}"#).unwrap();
        let variables =
            [variable("tipo", TipoCampo::Enum, &["breve", "lungo"]), variable("nome", TipoCampo::Testo, &[])];
        assert_eq!(text.lengths(&variables).unwrap(), Lengths { shortest: 1, longest: 503 });
        assert_eq!(text.comparisons, [("tipo".to_owned(), "breve".to_owned())]);
    }

    #[test]
    fn a_variable_of_the_attachment_may_only_stand_where_there_is_one() {
        let variables =
            [variable(ATTACHMENT, TipoCampo::Bool, &[]), variable("formato", TipoCampo::Testo, &[])];
        let good = Text::parse("{% if allegato_premium %}{{ formato }}{% endif %}").unwrap();
        assert!(good.lengths(&variables).is_ok());
        let bad = Text::parse("{{ formato }}").unwrap();
        assert!(bad.lengths(&variables).is_err());
    }

    #[test]
    fn a_broken_text_is_told_with_its_line() {
        let fault = Text::parse("a\n{% if %}").err().unwrap();
        assert!(fault.starts_with("line 2"), "{fault}");
    }
}
