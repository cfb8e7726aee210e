//! What the sandbox can be told, in code or in the `[sandbox]` section of a settings file.

use crate::codec::is_ulid;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;
use toml::{Table, Value};

/// Calls in 5 s of an account that says nothing else (APIM product policy of the IO API).
pub const DEFAULT_CALLS_PER_5S: usize = 150;
/// Euro cents: what the IO back office gives a service at its approval (€ 10,000.00).
pub const DEFAULT_MAX_AMOUNT: u64 = 1_000_000;
/// Messages held whole.
pub const DEFAULT_KEEP: usize = 200_000;
/// Time from acceptance to the final status.
pub const DEFAULT_PROCESSED_AFTER: Duration = Duration::from_millis(200);

/// One sender service and its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servizio {
    /// Primary key.
    pub chiave: String,
    /// Secondary key, equivalent.
    pub chiave_secondaria: Option<String>,
    /// Institution: its services share one rate limit.
    pub account: String,
    /// Whether the account may send Premium messages.
    pub premium: bool,
    /// Calls of the account in any 5 s; 0 is no limit.
    pub calls_per_5s: usize,
    /// Name that the inbox shows.
    pub nome: String,
    /// Institution's name that the inbox shows.
    pub ente: String,
    /// Remote content configurations of the account (ULIDs).
    pub configurazioni_remote: Vec<String>,
    /// Greatest amount of a payment notice, euro cents.
    pub max_importo_centesimi: u64,
}

impl Servizio {
    /// A service with one key and the default limits.
    #[must_use]
    pub fn new(chiave: &str, account: &str) -> Self {
        Self {
            chiave: chiave.to_owned(),
            chiave_secondaria: None,
            account: account.to_owned(),
            premium: false,
            calls_per_5s: DEFAULT_CALLS_PER_5S,
            nome: "Servizio di prova".to_owned(),
            ente: account.to_owned(),
            configurazioni_remote: Vec::new(),
            max_importo_centesimi: DEFAULT_MAX_AMOUNT,
        }
    }
}

/// Options of one sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Address to listen on, for the binary. Default `127.0.0.1:8099`.
    pub bind: SocketAddr,
    /// Services. None: any non-empty key is good, and is its own account.
    pub servizi: Vec<Servizio>,
    /// Time from acceptance to the final status. Default 200 ms.
    pub processed_after: Duration,
    /// Messages held whole, 1 or more. Default 200,000.
    pub keep: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8099)),
            servizi: Vec::new(),
            processed_after: DEFAULT_PROCESSED_AFTER,
            keep: DEFAULT_KEEP,
        }
    }
}

impl Options {
    /// Reads the `[sandbox]` section of a settings file; other sections are not looked at.
    ///
    /// # Errors
    /// Every fault, one line each: key and reason, never a key's value.
    pub fn from_toml(text: &str) -> Result<Self, Vec<String>> {
        let mut file: Table =
            text.parse().map_err(|error: toml::de::Error| vec![syntax_fault(text, &error)])?;
        let mut options = Self::default();
        let mut faults = Vec::new();
        let section = match file.remove("sandbox") {
            None => return Ok(options),
            Some(Value::Table(section)) => section,
            Some(_) => return Err(vec!["sandbox: must be a table".to_owned()]),
        };
        let mut reader = Reader { table: section, path: "sandbox".to_owned(), faults: &mut faults };
        if let Some(bind) =
            reader.read("bind", "an address such as \"127.0.0.1:8099\"", |v| v.as_str()?.parse().ok())
        {
            options.bind = bind;
        }
        if let Some(after) =
            reader.read("processed_after", "a duration such as \"200ms\", \"2s\" or \"1m\"", duration)
        {
            options.processed_after = after;
        }
        if let Some(keep) =
            reader.read("keep", "an integer of 1 or more", |v| whole(v).filter(|&n: &usize| n > 0))
        {
            options.keep = keep;
        }
        let servizi =
            reader.read("servizi", "an array of tables", |v| v.as_array().cloned()).unwrap_or_default();
        reader.finish();
        options.servizi = read_servizi(servizi, &mut faults);
        cross_check(&options.servizi, &mut faults);
        if faults.is_empty() { Ok(options) } else { Err(faults) }
    }
}

/// Line and reason; the error's own rendering would show the line, which may hold a key.
fn syntax_fault(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: not TOML: {}", before.matches('\n').count() + 1, error.message())
}

/// Takes keys out of a table and notes what is wrong with them.
struct Reader<'a> {
    table: Table,
    path: String,
    faults: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn read<T>(&mut self, key: &str, shape: &str, convert: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let value = self.table.remove(key)?;
        let converted = convert(&value);
        if converted.is_none() {
            self.faults.push(format!("{}.{key}: must be {shape}", self.path));
        }
        converted
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.read(key, "a non-empty string", |v| {
            v.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        })
    }

    fn required_text(&mut self, key: &str) -> String {
        if !self.table.contains_key(key) {
            self.faults.push(format!("{}.{key}: is required", self.path));
        }
        self.text(key).unwrap_or_default()
    }

    /// Every key left is one that nobody knows.
    fn finish(self) {
        for key in self.table.keys() {
            self.faults.push(format!("{}.{key}: unknown key", self.path));
        }
    }
}

fn read_servizi(values: Vec<Value>, faults: &mut Vec<String>) -> Vec<Servizio> {
    let mut servizi = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        let path = format!("sandbox.servizi[{index}]");
        match value {
            Value::Table(table) => servizi.push(read_servizio(Reader { table, path, faults })),
            _ => faults.push(format!("{path}: must be a table")),
        }
    }
    servizi
}

fn read_servizio(mut reader: Reader<'_>) -> Servizio {
    let mut servizio = Servizio::new(&reader.required_text("chiave"), &reader.required_text("account"));
    servizio.chiave_secondaria = reader.text("chiave_secondaria");
    servizio.premium = reader.read("premium", "true or false", Value::as_bool).unwrap_or(servizio.premium);
    servizio.calls_per_5s =
        reader.read("calls_per_5s", "an integer of 0 or more", whole).unwrap_or(servizio.calls_per_5s);
    servizio.nome = reader.text("nome").unwrap_or(servizio.nome);
    servizio.ente = reader.text("ente").unwrap_or(servizio.ente);
    servizio.max_importo_centesimi = reader
        .read("max_importo_centesimi", "an integer of 0 or more", whole)
        .unwrap_or(servizio.max_importo_centesimi);
    servizio.configurazioni_remote =
        reader.read("configurazioni_remote", "an array of ULIDs", ulids).unwrap_or_default();
    reader.finish();
    servizio
}

/// Keys must be distinct, and services of one account must agree on what belongs to the account.
fn cross_check(servizi: &[Servizio], faults: &mut Vec<String>) {
    let mut keys: HashMap<&str, usize> = HashMap::new();
    let mut accounts: HashMap<&str, &Servizio> = HashMap::new();
    for (index, servizio) in servizi.iter().enumerate() {
        let given =
            [("chiave", Some(&servizio.chiave)), ("chiave_secondaria", servizio.chiave_secondaria.as_ref())];
        for (name, key) in given.into_iter().filter_map(|(name, key)| Some((name, key?))) {
            if let Some(first) = keys.insert(key, index).filter(|_| !key.is_empty()) {
                faults.push(format!(
                    "sandbox.servizi[{index}].{name}: same key as in sandbox.servizi[{first}]"
                ));
            }
        }
        let first = accounts.entry(&servizio.account).or_insert(servizio);
        for (name, agrees) in [
            ("calls_per_5s", first.calls_per_5s == servizio.calls_per_5s),
            ("premium", first.premium == servizio.premium),
        ] {
            if !agrees {
                faults.push(format!(
                    "sandbox.servizi[{index}].{name}: services of one account must agree on it"
                ));
            }
        }
    }
}

fn whole<T: TryFrom<i64>>(value: &Value) -> Option<T> {
    T::try_from(value.as_integer()?).ok()
}

fn ulids(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|id| id.as_str().filter(|id| is_ulid(id)).map(str::to_owned)).collect()
}

fn duration(value: &Value) -> Option<Duration> {
    let text = value.as_str()?;
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_is_read_and_other_sections_are_ignored() {
        let options = Options::from_toml(
            r#"
            [amqp]
            url = "amqp://127.0.0.1"
            [sandbox]
            bind = "127.0.0.1:0"
            processed_after = "50ms"
            [[sandbox.servizi]]
            chiave = "k1"
            chiave_secondaria = "k2"
            account = "borgochiaro"
            premium = true
            calls_per_5s = 0
            nome = "Permesso di soggiorno"
            ente = "Comune di Borgochiaro"
            configurazioni_remote = ["01HMVM9W74RWH93NT1EYNKKNNR"]
            max_importo_centesimi = 5000
            "#,
        )
        .unwrap();
        assert_eq!(options.processed_after, Duration::from_millis(50));
        let servizio = &options.servizi[0];
        assert_eq!((servizio.calls_per_5s, servizio.max_importo_centesimi), (0, 5000));
        assert_eq!(servizio.chiave_secondaria.as_deref(), Some("k2"));
    }

    #[test]
    fn every_fault_is_listed_and_no_key_is_shown() {
        let faults = Options::from_toml(
            r#"
            [sandbox]
            bind = "nowhere"
            keep = 0
            colour = "blue"
            [[sandbox.servizi]]
            chiave = "segreta"
            account = "a"
            premium = "yes"
            configurazioni_remote = ["x"]
            [[sandbox.servizi]]
            chiave = "segreta"
            account = "a"
            calls_per_5s = 10
            [[sandbox.servizi]]
            nome = "x"
            "#,
        )
        .unwrap_err();
        let expected = [
            "sandbox.bind: must be an address such as \"127.0.0.1:8099\"",
            "sandbox.keep: must be an integer of 1 or more",
            "sandbox.colour: unknown key",
            "sandbox.servizi[0].premium: must be true or false",
            "sandbox.servizi[0].configurazioni_remote: must be an array of ULIDs",
            "sandbox.servizi[2].chiave: is required",
            "sandbox.servizi[2].account: is required",
            "sandbox.servizi[1].chiave: same key as in sandbox.servizi[0]",
            "sandbox.servizi[1].calls_per_5s: services of one account must agree on it",
        ];
        assert_eq!(faults, expected);
    }
}
