//! `docs`: the generated pages of the documentation.

use serde_json::json;
use shared::domain::catalogue::{Catalogue, events_page};
use shared::settings::configuration_page;
use shared::telemetry::metrics_page;

use crate::cli::Docs;
use crate::report::{Failure, Report, counted};

/// The pages by file name.
fn pages(catalogue: &Catalogue) -> [(&'static str, String); 3] {
    [
        ("configuration.md", configuration_page()),
        ("events.md", events_page(catalogue)),
        ("metrics.md", metrics_page()),
    ]
}

/// Writes the pages, or compares them.
pub(crate) fn run(catalogue: &Catalogue, arguments: &Docs) -> Result<Report, Failure> {
    let folder = &arguments.folder;
    let old: Vec<_> = pages(catalogue)
        .into_iter()
        .filter(|(name, page)| std::fs::read_to_string(folder.join(name)).ok().as_ref() != Some(page))
        .collect();
    let names: Vec<&str> = old.iter().map(|(name, _)| *name).collect();
    let lines = |what: &str| -> String {
        let line = |name: &&str| format!("{}: {what}\n", folder.join(name).display());
        names.iter().map(line).collect::<Vec<_>>().concat()
    };
    let up_to_date = || "the pages are up to date".to_owned();
    if arguments.action.check {
        let text = if names.is_empty() {
            up_to_date()
        } else {
            format!("{}{} old: run `promemoria docs --write`", lines("old"), counted(names.len(), "page"))
        };
        return Ok(Report::with_findings(text, json!({ "old": names }), !names.is_empty()));
    }
    for (name, page) in &old {
        let path = folder.join(name);
        std::fs::write(&path, page).map_err(|error| {
            Failure::fault(format!(
                "{}: cannot be written: {}; run it in the project's root or name --folder",
                path.display(),
                error.kind()
            ))
        })?;
    }
    let text = if names.is_empty() { up_to_date() } else { lines("written") };
    Ok(Report::good(text, json!({ "written": names })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::DocsAction;
    use crate::setup::tests::setup;

    #[test]
    fn what_is_missing_is_old_until_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = setup().catalogue;
        let run = |write: bool| {
            let action = DocsAction { write, check: !write };
            run(&catalogue, &Docs { action, folder: folder.path().to_owned() }).unwrap()
        };
        assert!(run(false).found);
        assert_eq!(run(true).json["written"].as_array().unwrap().len(), 3);
        assert!(!run(false).found);
        std::fs::write(folder.path().join("metrics.md"), "old").unwrap();
        let check = run(false);
        assert!(check.found && check.text.contains("metrics.md: old"), "{}", check.text);
    }
}
