//! The generated files against the folder `docs` and against each other.

use serde_json::Value;
use shared::domain::outcome::{OUTCOME_TYPES, outcome_schema};

use super::*;
use crate::cli::DocsAction;
use crate::setup::tests::setup;

fn run_in(folder: &Path, write: bool) -> Report {
    let action = DocsAction { write, check: !write };
    run(&setup().catalogue, &Docs { action, folder: folder.to_owned() }).unwrap()
}

/// All files: 4 pages, 29 event types, 9 outcome types.
const FILES: usize = 42;

#[test]
fn what_is_missing_is_old_until_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run_in(folder.path(), false).found);
    assert_eq!(run_in(folder.path(), true).json["written"].as_array().unwrap().len(), FILES);
    assert!(!run_in(folder.path(), false).found);
    std::fs::write(folder.path().join("metrics.md"), "old").unwrap();
    let check = run_in(folder.path(), false);
    assert!(check.found && check.text.contains("metrics.md: old"), "{}", check.text);
}

#[test]
fn outside_the_project_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let action = DocsAction { write: true, check: false };
    let docs = Docs { action, folder: folder.path().join("docs") };
    let Err(Failure::Fault(lines)) = run(&setup().catalogue, &docs) else { panic!("must be refused") };
    assert!(lines[0].contains("run it in the project's root"), "{lines:?}");
    assert!(!docs.folder.exists());
}

#[test]
fn the_schema_of_a_type_that_is_no_more_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), true);
    let lost = folder.path().join("schemas/events/permesso.perduto.json");
    std::fs::write(&lost, "{}").unwrap();
    let check = run_in(folder.path(), false);
    assert!(check.found && check.text.contains("permesso.perduto.json: old"), "{}", check.text);
    run_in(folder.path(), true);
    assert!(!lost.exists());
    assert!(!run_in(folder.path(), false).found);
}

#[test]
fn the_shipped_files_are_up_to_date() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let check = run_in(&shipped, false);
    assert!(!check.found, "{}", check.text);
}

#[test]
fn the_example_of_every_outcome_keeps_its_schema() {
    for outcome in &OUTCOME_TYPES {
        let schema = outcome_schema(outcome);
        let validator =
            jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap();
        let example = example::example_outcome(outcome);
        let faults: Vec<String> = validator.iter_errors(&example).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{}: {faults:?}", outcome.tipo);
    }
}

/// The document's pointers that lead nowhere, in the document or in a file beside it.
fn dangling(document: &Value, at: &Value, files: &[(String, String)], found: &mut Vec<String>) {
    match at {
        Value::Object(members) => {
            for (name, member) in members {
                let to = member.as_str().filter(|_| name == "$ref");
                let leads = to.is_none_or(|to| match (to.strip_prefix('#'), to.strip_prefix("./")) {
                    (Some(pointer), _) => document.pointer(pointer).is_some_and(|it| !it.is_null()),
                    (_, Some(file)) => files.iter().any(|(name, _)| name == file),
                    _ => false,
                });
                if !leads {
                    found.extend(to.map(str::to_owned));
                }
                dangling(document, member, files, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| dangling(document, item, files, found)),
        _ => {}
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let files = files(&setup().catalogue);
    let document: Value = serde_yaml_ng::from_str(&files[0].1).unwrap();
    let mut found = Vec::new();
    dangling(&document, &document, &files, &mut found);
    assert_eq!(found, Vec::<String>::new());
    for channel in ["events", "outcomes", "dead", "unrouted"] {
        assert!(document["channels"][channel]["bindings"]["amqp"].is_object(), "{channel} is not declared");
    }
    assert_eq!(document["channels"]["events"]["messages"].as_object().unwrap().len(), 29);
    assert_eq!(document["components"]["messages"].as_object().unwrap().len(), 29 + OUTCOME_TYPES.len() + 2);
}
