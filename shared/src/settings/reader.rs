//! Reads a TOML table key by key, collects every fault, and reports the keys that nobody took.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use toml::{Table, Value};

use crate::domain::Fault;

/// Where the keys of a table come from.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    /// Name of the file in faults.
    pub(super) file: String,
    /// Folder that relative paths in the file start from.
    pub(super) folder: PathBuf,
    /// Dotted paths that the file itself gives, tables included.
    pub(super) given: BTreeSet<String>,
    /// Dotted paths that the environment gives, without the tables above them.
    pub(super) environment: BTreeSet<String>,
}

/// Layers of the settings, the stronger the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    /// A built-in default.
    Default,
    /// The file.
    File,
    /// The environment.
    Environment,
}

impl Origin {
    /// The layer that gives a path its value.
    pub(super) fn layer(&self, path: &str) -> Layer {
        let below = |given: &String| given.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        if self.environment.contains(path) {
            Layer::Environment
        } else if self.given.contains(path) {
            Layer::File
        } else if self.environment.iter().any(below) {
            Layer::Environment // a table that stands only in the environment
        } else {
            Layer::Default
        }
    }

    fn name(&self, path: &str) -> String {
        match self.layer(path) {
            Layer::Environment => "environment".to_owned(),
            Layer::File | Layer::Default => self.file.clone(),
        }
    }
}

/// A value and whether the environment gave it: then numbers, booleans and lists come as text.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    /// The value.
    pub(super) value: &'a Value,
    /// It is text from the environment.
    pub(super) environment: bool,
}

/// Turns a value into a typed one, or says what would be taken.
pub(super) type Parsed<T> = Result<T, String>;

/// One table being read.
pub(super) struct Section {
    origin: Rc<Origin>,
    path: String,
    table: Table,
    known: BTreeSet<String>,
    faults: Vec<Fault>,
    files: BTreeSet<PathBuf>,
}

/// What a whole table gave.
pub(super) struct Read<T> {
    /// The value; meaningful only without faults.
    pub(super) value: T,
    /// Every fault.
    pub(super) faults: Vec<Fault>,
    /// The other files that were read for it.
    pub(super) files: BTreeSet<PathBuf>,
}

/// Reads a root table.
pub(super) fn read<T>(origin: Origin, table: Table, body: impl FnOnce(&mut Section) -> T) -> Read<T> {
    let mut root = Section::new(Rc::new(origin), String::new(), table);
    let value = body(&mut root);
    root.report_unknown();
    Read { value, faults: root.faults, files: root.files }
}

impl Section {
    fn new(origin: Rc<Origin>, path: String, table: Table) -> Self {
        Self { origin, path, table, known: BTreeSet::new(), faults: Vec::new(), files: BTreeSet::new() }
    }

    /// The dotted path of a key of this table.
    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The layer that gives a key of this table its value.
    pub(super) fn layer(&self, key: &str) -> Layer {
        self.origin.layer(&self.at(key))
    }

    /// Whether the key is there and not yet taken.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The names of the keys not yet taken.
    pub(super) fn names(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    /// Notes a fault of a key.
    pub(super) fn fault(&mut self, key: &str, reason: impl Into<String>) {
        let path = self.at(key);
        self.faults.push(Fault { file: self.origin.name(&path), key: path, reason: reason.into() });
    }

    /// Takes an optional key.
    pub(super) fn opt<T>(&mut self, key: &str, parse: impl FnOnce(Raw) -> Parsed<T>) -> Option<T> {
        self.known.insert(key.to_owned());
        let value = self.table.remove(key)?;
        let environment = self.layer(key) == Layer::Environment;
        parse(Raw { value: &value, environment }).map_err(|reason| self.fault(key, reason)).ok()
    }

    /// Takes a required key; a stand-in comes back with the fault.
    pub(super) fn get<T: Default>(&mut self, key: &str, parse: impl FnOnce(Raw) -> Parsed<T>) -> T {
        if !self.has(key) {
            self.known.insert(key.to_owned());
            self.fault(key, "required, and missing");
        }
        self.opt(key, parse).unwrap_or_default()
    }

    /// Takes an optional table and reads it.
    pub(super) fn table<T>(&mut self, key: &str, body: impl FnOnce(&mut Section) -> T) -> Option<T> {
        self.known.insert(key.to_owned());
        let Value::Table(table) = self.table.remove(key)? else {
            self.fault(key, "must be a table");
            return None;
        };
        Some(self.child(key, table, body))
    }

    /// Takes a table that must be there, an empty one where it is not.
    pub(super) fn section<T>(&mut self, key: &str, body: impl FnOnce(&mut Section) -> T) -> Option<T> {
        if !self.has(key) {
            self.table.insert(key.to_owned(), Value::Table(Table::new()));
        }
        self.table(key, body)
    }

    /// Takes a table of tables with names of the file's own choice, and reads each.
    pub(super) fn tables<T>(
        &mut self,
        key: &str,
        mut body: impl FnMut(&str, &mut Section) -> T,
    ) -> BTreeMap<String, T> {
        self.table(key, |outer| {
            let names = outer.names().into_iter();
            names
                .filter_map(|name| {
                    let value = outer.table(&name, |inner| body(&name, inner))?;
                    Some((name, value))
                })
                .collect()
        })
        .unwrap_or_default()
    }

    /// Takes a table of values with names of the file's own choice.
    pub(super) fn map<T>(&mut self, key: &str, parse: impl Fn(Raw) -> Parsed<T>) -> BTreeMap<String, T> {
        self.table(key, |inner| {
            inner
                .names()
                .into_iter()
                .filter_map(|name| Some((name.clone(), inner.opt(&name, &parse)?)))
                .collect()
        })
        .unwrap_or_default()
    }

    /// Drops a key that another program reads.
    pub(super) fn ignore(&mut self, key: &str) {
        self.known.insert(key.to_owned());
        self.table.remove(key);
    }

    /// A path of this table's file, absolute or relative to the file's folder; one given by the
    /// environment is relative to the working directory.
    pub(super) fn resolve(&self, key: &str, path: &Path) -> PathBuf {
        match self.layer(key) {
            Layer::File => self.origin.folder.join(path),
            Layer::Environment | Layer::Default => path.to_owned(),
        }
    }

    /// Reads another file that a key names.
    pub(super) fn read_file(&mut self, key: &str, path: &Path) -> Option<String> {
        let path = self.resolve(key, path);
        let text = std::fs::read_to_string(&path);
        self.files.insert(path);
        text.map_err(|error| self.fault(key, format!("the file cannot be read: {}", error.kind()))).ok()
    }

    fn child<T>(&mut self, key: &str, table: Table, body: impl FnOnce(&mut Section) -> T) -> T {
        let mut child = Section::new(Rc::clone(&self.origin), self.at(key), table);
        let value = body(&mut child);
        child.report_unknown();
        self.faults.append(&mut child.faults);
        self.files.append(&mut child.files);
        value
    }

    fn report_unknown(&mut self) {
        let known = self.known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let mut unknown = self.names();
        unknown.sort();
        for key in unknown {
            self.fault(&key, format!("unknown key; known here: {known}"));
        }
    }
}

/// Every dotted path of a table, tables included.
pub(super) fn paths(table: &Table) -> BTreeSet<String> {
    fn walk(prefix: &str, table: &Table, found: &mut BTreeSet<String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            if let Value::Table(inner) = value {
                walk(&path, inner, found);
            }
            found.insert(path);
        }
    }
    let mut found = BTreeSet::new();
    walk("", table, &mut found);
    found
}

/// Parses a TOML text. The fault carries the parser's message and the line, never the line's text.
pub(super) fn parse(file: &str, text: &str) -> Result<Table, Fault> {
    text.parse::<Table>().map_err(|error| {
        let line = error
            .span()
            .map_or(0, |span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1);
        Fault {
            file: file.to_owned(),
            key: "-".to_owned(),
            reason: format!("not TOML, line {line}: {}", error.message().replace('\n', ", ")),
        }
    })
}
