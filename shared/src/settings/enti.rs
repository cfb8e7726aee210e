//! Reads the folder of the enti: one TOML file each, the file's name being the id.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono_tz::Tz;
use sha2::{Digest, Sha256};

use super::reader::{self, Origin, Raw, Section};
use super::{Validator, kinds, servizio};
use crate::domain::Fault;
use crate::domain::ente::{ContrattoPremium, Ente, IoAccount};

/// Calls in 5 seconds of the ordinary contract (io-api.md section 5).
const ORDINARY_CALLS: u32 = 150;

/// One ente file without faults.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The ente.
    pub ente: Arc<Ente>,
    /// Folders of the other files it was read from (keys, texts).
    pub(super) folders: BTreeSet<PathBuf>,
    /// SHA-256 over the file and the files it names: alike means unchanged.
    pub(super) digest: [u8; 32],
}

/// What a folder of enti gave.
#[derive(Debug, Default)]
pub struct Enti {
    /// Enti without faults of their own, by id.
    pub taken: BTreeMap<String, Loaded>,
    /// Ids whose file has faults.
    pub refused: BTreeSet<String>,
    /// Every fault of every file, disagreements between files included.
    pub faults: Vec<Fault>,
}

impl Enti {
    /// Reads every `*.toml` of a folder; hidden files are left out. `validator` adds what the catalogue
    /// finds wrong with an ente.
    #[must_use]
    pub fn read(folder: &Path, validator: &Validator) -> Self {
        let mut enti = Self::default();
        let paths = match list(folder) {
            Ok(paths) => paths,
            Err(error) => {
                enti.faults.push(fault(folder, "-", format!("cannot be listed: {}", error.kind())));
                return enti;
            }
        };
        for path in paths {
            let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            match read_one(&path, &id, validator) {
                Ok(loaded) => drop(enti.taken.insert(id, loaded)),
                Err(mut faults) => {
                    enti.refused.insert(id);
                    enti.faults.append(&mut faults);
                }
            }
        }
        for id in disagreeing(&enti.taken) {
            enti.faults.push(disagreement(folder, &id));
        }
        enti
    }
}

/// The fault of an ente whose account has another limit elsewhere (contract.md 10.9).
pub(super) fn disagreement(folder: &Path, id: &str) -> Fault {
    let path = folder.join(format!("{id}.toml"));
    fault(&path, "io.calls_per_5s", "enti with the same io.account must agree on it".to_owned())
}

/// Ids of the enti that share an account and differ on its limit.
pub(super) fn disagreeing(enti: &BTreeMap<String, Loaded>) -> BTreeSet<String> {
    let mut limits: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for loaded in enti.values() {
        limits.entry(&loaded.ente.io.account).or_default().insert(loaded.ente.io.calls_per_5s);
    }
    let differs = |loaded: &Loaded| limits.get(loaded.ente.io.account.as_str()).is_some_and(|l| l.len() > 1);
    enti.iter().filter(|(_, loaded)| differs(loaded)).map(|(id, _)| id.clone()).collect()
}

fn fault(path: &Path, key: &str, reason: String) -> Fault {
    Fault { file: path.display().to_string(), key: key.to_owned(), reason }
}

/// The ente files of a folder, sorted. The `..data` of a mounted `ConfigMap` is hidden, its links are not.
fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read_one(path: &Path, id: &str, validator: &Validator) -> Result<Loaded, Vec<Fault>> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![fault(path, "-", format!("cannot be read: {}", error.kind()))])?;
    let table = reader::parse(&file, &text).map_err(|fault| vec![fault])?;
    let origin = Origin {
        folder: path.parent().map(PathBuf::from).unwrap_or_default(),
        given: reader::paths(&table),
        environment: BTreeSet::new(),
        file,
    };
    let mut read = reader::read(origin, table, |root| ente(root, id));
    if read.faults.is_empty() {
        read.faults = validator(&read.value);
    }
    if !read.faults.is_empty() {
        return Err(read.faults);
    }
    let mut digest = Sha256::new_with_prefix(text);
    for other in &read.files {
        digest.update(std::fs::read(other).unwrap_or_default());
    }
    let folders = read.files.iter().filter_map(|file| file.parent().map(PathBuf::from)).collect();
    Ok(Loaded { ente: Arc::new(read.value), folders, digest: digest.finalize().into() })
}

fn ente(root: &mut Section, file_id: &str) -> Ente {
    let id = root.get("id", kinds::checked(check_id));
    if !id.is_empty() && id != file_id {
        root.fault("id", "must be the name of the file without .toml");
    }
    let servizi = root.tables("servizi", servizio::read);
    if servizi.is_empty() {
        root.fault("servizi", "at least one service is required");
    }
    Ente {
        denominazione: root.get("denominazione", kinds::text),
        comune: root.get("comune", kinds::text),
        fuso: fuso(root),
        festivita_locali: root.opt("festivita_locali", festivita).unwrap_or_default(),
        io: root.section("io", |section| io(section, &id)).unwrap_or_else(|| account(&id)),
        premium: root.table("premium", premium).unwrap_or_default(),
        servizi,
        id,
    }
}

fn fuso(root: &mut Section) -> Tz {
    if !root.has("fuso") {
        root.fault("fuso", "required, and missing");
    }
    let zone = root.opt("fuso", |raw| {
        kinds::text(raw)?
            .parse::<Tz>()
            .map_err(|_| r#"must be an IANA zone such as "Europe/Rome""#.to_owned())
    });
    zone.unwrap_or(Tz::Europe__Rome)
}

/// `^[a-z0-9](-?[a-z0-9]){0,38}$` (contract.md section 3).
fn check_id(id: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let words_only = id.split('-').all(|word| !word.is_empty() && word.chars().all(plain));
    if words_only && id.chars().filter(|c| *c != '-').count() <= 39 {
        Ok(())
    } else {
        Err("must be 1 to 39 of a-z and 0-9, single hyphens between them")
    }
}

/// `"MM-DD"` days of any year, 29 February included.
fn festivita(raw: Raw) -> Result<Vec<(u32, u32)>, String> {
    if raw.value.as_array().is_some_and(Vec::is_empty) {
        return Ok(Vec::new());
    }
    kinds::list(|raw| {
        let day = raw.value.as_str().filter(|text| text.len() == 5).and_then(|text| text.split_once('-'));
        day.and_then(|(month, day)| Some((month.parse().ok()?, day.parse().ok()?)))
            .filter(|(month, day)| chrono::NaiveDate::from_ymd_opt(2024, *month, *day).is_some())
            .ok_or_else(|| r#"must be a day such as "08-26" (month, day)"#.to_owned())
    })(raw)
}

fn account(id: &str) -> IoAccount {
    IoAccount { account: id.to_owned(), calls_per_5s: ORDINARY_CALLS }
}

fn io(section: &mut Section, id: &str) -> IoAccount {
    let ordinary = account(id);
    IoAccount {
        account: section.opt("account", kinds::checked(check_account)).unwrap_or(ordinary.account),
        calls_per_5s: section.opt("calls_per_5s", kinds::count(0..=100_000)).unwrap_or(ordinary.calls_per_5s),
    }
}

/// It names Redis keys and metric labels.
fn check_account(account: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if account.len() <= 64 && account.chars().all(plain) {
        Ok(())
    } else {
        Err("must be 1 to 64 of letters, digits, `.`, `_`, `-`")
    }
}

fn premium(section: &mut Section) -> ContrattoPremium {
    ContrattoPremium {
        promemoria: section.opt("promemoria", kinds::flag).unwrap_or_default(),
        allegati: section.opt("allegati", kinds::flag).unwrap_or_default(),
        promemoria_anche_con_premium: section
            .opt("promemoria_anche_con_premium", kinds::flag)
            .unwrap_or_default(),
    }
}
