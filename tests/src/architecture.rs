//! The rules of the tree that a machine can check.

use std::path::{Path, PathBuf};

use crate::fleet::project_root;

/// Longest file of production code, in lines.
const LONGEST: usize = 400;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// Every Rust file below these folders, with its text.
fn texts(folders: &[&str]) -> Vec<(String, String)> {
    let root = project_root();
    let mut found = Vec::new();
    for folder in folders {
        sources(&root.join(folder), &mut found);
    }
    let relative = |path: &PathBuf| path.strip_prefix(&root).unwrap_or(path).display().to_string();
    found.iter().map(|path| (relative(path), std::fs::read_to_string(path).expect("a text"))).collect()
}

/// The files below `folders` that use a crate and are not among `allowed`.
fn users_of(name: &str, folders: &[&str], allowed: &[&str]) -> Vec<String> {
    let forms =
        [format!("use {name}::"), format!("use ::{name}::"), format!(" {name}::"), format!("({name}::")];
    texts(folders)
        .into_iter()
        .filter(|(path, _)| !allowed.iter().any(|start| path.starts_with(start)))
        .filter(|(_, text)| forms.iter().any(|form| text.contains(form.as_str())))
        .map(|(path, _)| path)
        .collect()
}

const FLEET: [&str; 7] = [
    "shared/src",
    "services/scheduler/src",
    "services/renderer/src",
    "services/dispatcher/src",
    "services/promemoria/src",
    "services/fleet/src",
    "services/sandbox/src",
];

#[test]
fn lapin_is_used_in_its_adapter_only() {
    assert_eq!(users_of("lapin", &FLEET, &["shared/src/broker/rabbitmq/"]), Vec::<String>::new());
}

#[test]
fn opentelemetry_is_used_where_spans_are_made_only() {
    for name in ["opentelemetry", "opentelemetry_sdk", "opentelemetry_otlp", "opentelemetry_http"] {
        assert_eq!(users_of(name, &FLEET, &["shared/src/trace/"]), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn the_domain_is_pure() {
    for name in ["tokio", "lapin", "redis", "reqwest", "axum"] {
        assert_eq!(users_of(name, &["shared/src/domain"], &[]), Vec::<String>::new(), "{name} in the domain");
    }
    for (path, text) in texts(&["shared/src/domain"]) {
        for upward in ["crate::broker", "crate::store", "crate::settings", "crate::telemetry", "crate::trace"]
        {
            assert!(!text.contains(upward), "{path} looks up to {upward}");
        }
    }
}

#[test]
fn services_know_shared_and_not_each_other() {
    for service in ["scheduler", "renderer", "dispatcher"] {
        for other in ["scheduler", "renderer", "dispatcher", "sandbox"].into_iter().filter(|o| *o != service)
        {
            let folder = format!("services/{service}/src");
            assert_eq!(users_of(other, &[&folder], &[]), Vec::<String>::new(), "{service} uses {other}");
        }
    }
}

#[test]
fn files_stay_small() {
    let long: Vec<_> = texts(&FLEET)
        .into_iter()
        .filter(|(path, text)| !path.contains("tests") && text.lines().count() > LONGEST)
        .map(|(path, text)| format!("{path}: {}", text.lines().count()))
        .collect();
    assert_eq!(long, Vec::<String>::new());
}

#[test]
fn the_readme_shows_the_examples_that_are_checked() {
    let read = |path: &str| std::fs::read_to_string(project_root().join(path)).expect(path);
    let readme = read("README.md");
    for (language, path) in [
        ("json", "docs/examples/permesso-rinnovato.json"),
        ("python", "docs/examples/python/publish.py"),
        ("rust", "docs/examples/rust/publish.rs"),
    ] {
        let shown = format!("```{language}\n{}```\n", read(path));
        assert!(readme.contains(&shown), "README.md does not show {path} as it is");
    }
}
