//! Lays the layers over each other: built-in defaults, then the file, then the environment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat};
use toml::{Table, Value};

use super::reader::{Origin, parse, paths};
use crate::domain::Fault;

/// The built-in defaults, which are also the source of `docs/configuration.md`.
pub(super) const DEFAULTS: &str = include_str!("defaults.toml");

/// What the environment's variables begin with.
const PREFIX: &str = "PROMEMORIA";

/// Merges the layers into one table and says where each key comes from.
pub(super) fn layers(
    path: Option<&Path>,
    environment: Vec<(String, String)>,
) -> Result<(Origin, Table), Fault> {
    let (name, text) = match path {
        Some(path) => (path.display().to_string(), read(path)?),
        None => ("built-in defaults".to_owned(), String::new()),
    };
    let origin = Origin {
        folder: path.and_then(Path::parent).map(PathBuf::from).unwrap_or_default(),
        given: paths(&parse(&name, &text)?),
        environment: environment_paths(&environment),
        file: name.clone(),
    };
    let table = Config::builder()
        .add_source(File::from_str(DEFAULTS, FileFormat::Toml))
        .add_source(File::from_str(&text, FileFormat::Toml))
        .add_source(
            Environment::with_prefix(PREFIX).separator("__").source(Some(environment.into_iter().collect())),
        )
        .build()
        .and_then(Config::try_deserialize::<Value>)
        // The library's text may quote what it read.
        .map_err(|_| whole_file(&name, "the layers of the settings do not fit together"))?;
    match table {
        Value::Table(table) => Ok((origin, table)),
        _ => Err(whole_file(&name, "must be a table")),
    }
}

fn read(path: &Path) -> Result<String, Fault> {
    std::fs::read_to_string(path).map_err(|error| {
        whole_file(&path.display().to_string(), &format!("cannot be read: {}", error.kind()))
    })
}

fn whole_file(file: &str, reason: &str) -> Fault {
    Fault { file: file.to_owned(), key: "-".to_owned(), reason: reason.to_owned() }
}

/// The dotted paths that the environment names.
fn environment_paths(environment: &[(String, String)]) -> BTreeSet<String> {
    let prefix = format!("{}__", PREFIX.to_lowercase());
    let names = environment.iter().map(|(name, _)| name.to_lowercase());
    names.filter_map(|name| Some(name.strip_prefix(&prefix)?.replace("__", "."))).collect()
}
