//! `docs`: what is generated in the documentation: pages, AsyncAPI document, JSON Schemas.

mod asyncapi;
mod example;
mod messages;
mod schemas;

use std::path::Path;

use serde_json::json;
use shared::domain::catalogue::{Catalogue, events_page};
use shared::settings::configuration_page;
use shared::telemetry::metrics_page;

use crate::cli::Docs;
use crate::report::{Failure, Report, counted};

/// The files by name, relative to the folder of the pages.
fn files(catalogue: &Catalogue) -> Vec<(String, String)> {
    let pages = [
        ("asyncapi.yaml", asyncapi::document(catalogue)),
        ("configuration.md", configuration_page()),
        ("events.md", events_page(catalogue)),
        ("metrics.md", metrics_page()),
    ];
    let pages = pages.into_iter().map(|(name, text)| (name.to_owned(), text));
    pages.chain(schemas::files(catalogue)).collect()
}

/// The names of schemas that are there and of a type that is no more.
fn left_over(folder: &Path, files: &[(String, String)]) -> Vec<String> {
    let of_folder = |below: &'static str| {
        let entries = std::fs::read_dir(folder.join(below)).into_iter().flatten().flatten();
        entries.filter_map(move |entry| Some(format!("{below}/{}", entry.file_name().to_str()?)))
    };
    let known = |name: &String| files.iter().any(|(file, _)| file == name);
    let mut names: Vec<String> =
        schemas::FOLDERS.into_iter().flat_map(of_folder).filter(|name| !known(name)).collect();
    names.sort_unstable();
    names
}

/// Writes the files, or compares them.
pub(crate) fn run(catalogue: &Catalogue, arguments: &Docs) -> Result<Report, Failure> {
    let folder = &arguments.folder;
    let mut old = files(catalogue);
    let left_over = left_over(folder, &old);
    old.retain(|(name, text)| std::fs::read_to_string(folder.join(name)).ok().as_ref() != Some(text));
    let names: Vec<&str> =
        old.iter().map(|(name, _)| name.as_str()).chain(left_over.iter().map(String::as_str)).collect();
    let lines = |what: &str| -> String {
        let line = |name: &&str| format!("{}: {what}\n", folder.join(name).display());
        names.iter().map(line).collect::<Vec<_>>().concat()
    };
    let up_to_date = || "the pages are up to date".to_owned();
    if arguments.action.check {
        let text = if names.is_empty() {
            up_to_date()
        } else {
            format!("{}{} old: run `promemoria docs --write`", lines("old"), counted(names.len(), "file"))
        };
        return Ok(Report::with_findings(text, json!({ "old": names }), !names.is_empty()));
    }
    put(folder, &old, &left_over)?;
    let text = if names.is_empty() { up_to_date() } else { lines("written") };
    Ok(Report::good(text, json!({ "written": names })))
}

/// Writes what is old and removes what is left over.
fn put(folder: &Path, old: &[(String, String)], left_over: &[String]) -> Result<(), Failure> {
    if !folder.is_dir() {
        return Err(cannot(folder, "written", &std::io::ErrorKind::NotFound.into()));
    }
    for (name, text) in old {
        let path = folder.join(name);
        write(&path, text).map_err(|error| cannot(&path, "written", &error))?;
    }
    for name in left_over {
        let path = folder.join(name);
        std::fs::remove_file(&path).map_err(|error| cannot(&path, "removed", &error))?;
    }
    Ok(())
}

/// Writes a file, and makes the folder of the schemas where it is not there.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

fn cannot(path: &Path, what: &str, error: &std::io::Error) -> Failure {
    Failure::fault(format!(
        "{}: cannot be {what}: {}; run it in the project's root or name --folder",
        path.display(),
        error.kind()
    ))
}

#[cfg(test)]
mod tests;
