//! Reads a catalogue folder and lists every fault in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{Catalogue, Messaggio, Service, check};
use crate::domain::calendar::{Holiday, Holidays};
use crate::domain::fault::Fault;
use crate::domain::hex;
use crate::domain::permits::Permits;

const HOLIDAYS: &str = "festivita.toml";
const PERMITS: &str = "permits.json";
const LENGTHS: &str = "validita.toml";

/// The files of a catalogue: path relative to its folder (with `/`), and text.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Texts by path, for example `alloggi-sociali/servizio.toml`.
    pub files: BTreeMap<String, String>,
}

impl Source {
    /// Reads every file of a folder, two levels of folders deep. Hidden entries and read-me files are left
    /// out.
    ///
    /// # Errors
    /// Every file or folder that cannot be read.
    pub fn read(dir: &Path) -> Result<Self, Vec<Fault>> {
        let mut source = Self::default();
        let mut faults = Vec::new();
        walk(dir, "", &mut source.files, &mut faults);
        if faults.is_empty() { Ok(source) } else { Err(faults) }
    }
}

fn walk(dir: &Path, prefix: &str, files: &mut BTreeMap<String, String>, faults: &mut Vec<Fault>) {
    let here = if prefix.is_empty() { "." } else { prefix };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return faults.push(Fault::new(here, "", format!("cannot be read: {error}"))),
    };
    for entry in entries {
        let Ok(entry) = entry.map_err(|e| faults.push(Fault::new(here, "", e.to_string()))) else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "README.md" {
            continue;
        }
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        if entry.path().is_dir() {
            if path.matches('/').count() < 2 {
                walk(&entry.path(), &path, files, faults);
            }
            continue;
        }
        match fs::read_to_string(entry.path()) {
            Ok(text) => drop(files.insert(path, text)),
            Err(error) => faults.push(Fault::new(&path, "", format!("cannot be read: {error}"))),
        }
    }
}

impl Catalogue {
    /// Reads and checks a catalogue folder.
    ///
    /// # Errors
    /// Every fault found: files that cannot be read, records that do not parse, and where all parse,
    /// whatever [`check::check`] finds.
    pub fn load(dir: &Path) -> Result<Self, Vec<Fault>> {
        Self::parse(&Source::read(dir)?)
    }

    /// The same, from texts.
    ///
    /// # Errors
    /// As [`Catalogue::load`].
    pub fn parse(source: &Source) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut catalogue = Self { digest: digest(source), ..Self::default() };
        read_common(source, &mut catalogue, &mut faults);
        let mut services: BTreeMap<&str, Parts> = BTreeMap::new();
        for (path, text) in &source.files {
            if let Err(fault) = place(path, text, &mut services) {
                faults.push(fault);
            }
        }
        for (id, parts) in services {
            match parts.scheda {
                Some(scheda) => {
                    let Parts { eventi, messaggi, timer, .. } = parts;
                    let service = Service { scheda, eventi, messaggi, timer };
                    catalogue.servizi.insert(id.to_owned(), service);
                }
                None if parts.has_sheet_file => {}
                None => faults.push(Fault::new(&format!("{id}/servizio.toml"), "", "is missing")),
            }
        }
        if faults.is_empty() {
            faults = check::check(&catalogue);
        }
        if faults.is_empty() { Ok(catalogue) } else { Err(faults) }
    }
}

/// First 16 hex digits of SHA-256 over paths and texts, in the order of the paths.
fn digest(source: &Source) -> String {
    let mut hash = Sha256::new();
    for (path, text) in &source.files {
        for part in [path, text] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
    }
    hex(&hash.finalize()[..8])
}

/// A service while its files are read.
#[derive(Default)]
struct Parts {
    scheda: Option<super::Servizio>,
    has_sheet_file: bool,
    eventi: BTreeMap<String, super::TipoEvento>,
    messaggi: BTreeMap<String, Messaggio>,
    timer: BTreeMap<String, super::Timer>,
}

/// Reads one file of a service into its place.
fn place<'a>(path: &'a str, text: &str, services: &mut BTreeMap<&'a str, Parts>) -> Result<(), Fault> {
    let words: Vec<&str> = path.split('/').collect();
    let parts = match words.first() {
        Some(id) if words.len() > 1 => services.entry(id).or_default(),
        _ if [HOLIDAYS, PERMITS, LENGTHS].contains(&path) => return Ok(()),
        _ => return Err(Fault::new(path, "", "is no file of a catalogue")),
    };
    let file_is = |name: &str, id: &str, key: &str| {
        if name == id { Ok(()) } else { Err(Fault::new(path, key, "must equal the file's name")) }
    };
    let (folder, name, extension) = match words.as_slice() {
        [_, folder, file] => {
            let (name, extension) = file.rsplit_once('.').unwrap_or((file, ""));
            (*folder, name, extension)
        }
        [_, file] => ("", *file, ""),
        _ => ("", "", ""),
    };
    match (folder, name, extension) {
        ("", "servizio.toml", "") => {
            parts.has_sheet_file = true;
            parts.scheda = Some(record(path, text)?);
        }
        ("eventi", name, "toml") => {
            let event: super::TipoEvento = record(path, text)?;
            file_is(name, &event.tipo, "tipo")?;
            parts.eventi.insert(event.tipo.clone(), event);
        }
        ("timer", name, "toml") => {
            let timer: super::Timer = record(path, text)?;
            file_is(name, &timer.id, "id")?;
            parts.timer.insert(timer.id.clone(), timer);
        }
        ("messaggi", name, "md") => {
            let message = message(path, text)?;
            file_is(name, &message.id, "id")?;
            parts.messaggi.insert(message.id.clone(), message);
        }
        _ => return Err(Fault::new(path, "", "is no file of a catalogue")),
    }
    Ok(())
}

/// Splits a message file into its record, between two `+++` lines, and its text. One line break at the
/// end of the file is not part of the text.
fn message(path: &str, text: &str) -> Result<Messaggio, Fault> {
    let parts = text.strip_prefix("+++\n").and_then(|rest| rest.split_once("\n+++\n"));
    let (head, body) =
        parts.ok_or_else(|| Fault::new(path, "", "must begin with a record between `+++` lines"))?;
    let mut message: Messaggio = record(path, head)?;
    body.strip_suffix('\n').unwrap_or(body).clone_into(&mut message.corpo);
    Ok(message)
}

fn record<T: DeserializeOwned>(path: &str, text: &str) -> Result<T, Fault> {
    let parsed = toml::Deserializer::parse(text).map_err(|e| Fault::new(path, "", at_line(&e, text)))?;
    serde_path_to_error::deserialize(parsed).map_err(|error| {
        let key = error.path().to_string();
        let reason = error.into_inner().message().to_owned();
        Fault::new(path, if key == "." { String::new() } else { key }, reason)
    })
}

fn at_line(error: &toml::de::Error, text: &str) -> String {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.get(..start).map_or(1, |before| before.matches('\n').count() + 1);
    format!("line {line}: {}", error.message())
}

/// `festivita.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HolidaysFile {
    fisse: Vec<Holiday>,
    #[serde(default)]
    pasqua: Vec<i64>,
}

fn read_common(source: &Source, catalogue: &mut Catalogue, faults: &mut Vec<Fault>) {
    let mut text = |file: &str| {
        let text = source.files.get(file);
        if text.is_none() {
            faults.push(Fault::new(file, "", "is missing"));
        }
        text.cloned()
    };
    let (holidays, permits, lengths) = (text(HOLIDAYS), text(PERMITS), text(LENGTHS));
    match holidays.map(|text| record::<HolidaysFile>(HOLIDAYS, &text)) {
        Some(Ok(file)) => {
            faults.extend(check::holidays(HOLIDAYS, &file.fisse));
            catalogue.festivita = Holidays::new(file.fisse, file.pasqua);
        }
        Some(Err(fault)) => faults.push(fault),
        None => {}
    }
    if let (Some(permits), Some(lengths)) = (permits, lengths) {
        match Permits::parse((PERMITS, &permits), (LENGTHS, &lengths)) {
            Ok(permits) => catalogue.permessi = permits,
            Err(more) => faults.extend(more),
        }
    }
}
