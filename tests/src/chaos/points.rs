//! The crash points of the source: every one has a row, and no release has any.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::fleet::project_root;

/// What stands before each name in the source.
const MARK: &str = "crash_point!(";

/// The names that the source of the fleet has.
///
/// # Errors
/// The source cannot be read.
pub fn names() -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for folder in ["shared/src", "services"] {
        collect(&project_root().join(folder), &mut names)?;
    }
    Ok(names)
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, names)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path)?;
            // The name may begin a line of its own.
            let quoted = text.split(MARK).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
            let found = quoted.filter_map(|rest| rest.split('"').next());
            names.extend(found.map(str::to_owned));
        }
    }
    Ok(())
}

/// Makes sure that programs contain no crash point.
///
/// # Errors
/// One does, or cannot be read.
pub fn absent(programs: &[PathBuf]) -> anyhow::Result<()> {
    for program in programs {
        let bytes = std::fs::read(program).with_context(|| program.display().to_string())?;
        // As text, because the library's search in a text is fast in a debug build too.
        let text = String::from_utf8_lossy(&bytes);
        for name in names()?.iter().map(String::as_str).chain(["PROMEMORIA_CRASH_POINT", "PROMEMORIA_TEST_"])
        {
            anyhow::ensure!(!text.contains(name), "{} contains {name}", program.display());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Features of `shared` that no release has.
    const TEST_ONLY: [&str; 4] = ["crash-points", "other-release", "testing", "virtual-time"];

    /// The features of `shared` in a build of one package alone, as cargo resolves them; none inside where the package does
    /// without `shared`.
    fn features_of(package: &str) -> anyhow::Result<Option<BTreeSet<String>>> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let tree =
            ["tree", "--locked", "--edges", "no-dev", "--prefix", "none", "--format", "{p} {f}", "--package"];
        let said = Command::new(cargo).current_dir(project_root()).args(tree).arg(package).output()?;
        anyhow::ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let said = String::from_utf8(said.stdout)?;
        // `shared v0.1.0 (folder) crash-points,virtual-time`
        let of_shared = said.lines().filter(|line| line.starts_with("shared v"));
        let features = of_shared.map(|line| line.rsplit_once(") ").map_or("", |(_, features)| features));
        let one =
            |features: &str| features.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect();
        Ok(features.map(one).next())
    }

    #[test]
    fn every_crash_point_has_a_row() {
        let rows: String = ["crash", "life", "io"]
            .iter()
            .map(|file| {
                std::fs::read_to_string(project_root().join(format!("tests/src/chaos/rows/{file}.rs")))
            })
            .collect::<Result<_, _>>()
            .expect("the rows");
        let missing: Vec<String> =
            names().expect("the names").into_iter().filter(|name| !rows.contains(name)).collect();
        assert_eq!(missing, Vec::<String>::new());
    }

    #[test]
    fn no_program_turns_on_what_only_tests_have() {
        let services = std::fs::read_dir(project_root().join("services")).expect("the services");
        let mut without = Vec::new();
        for service in services {
            let name = service.expect("a service").file_name().into_string().expect("a name");
            match features_of(&name).expect("its features") {
                Some(features) => {
                    let found: Vec<_> = TEST_ONLY.iter().filter(|only| features.contains(**only)).collect();
                    assert!(found.is_empty(), "{name} is built with {found:?}");
                }
                None => without.push(name),
            }
        }
        assert_eq!(without, ["sandbox"], "what is not of the fleet");
        let tests = features_of("tests").expect("the features").expect("of the fleet");
        assert!(tests.contains("crash-points") && tests.contains("virtual-time"), "{tests:?}");
    }

    #[test]
    fn a_program_with_a_crash_point_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("program");
        std::fs::write(&program, b"\x7fELF\0intake.told\0").expect("written");
        let error = absent(std::slice::from_ref(&program)).expect_err("found").to_string();
        assert!(error.contains("intake.told"), "{error}");
        std::fs::write(&program, b"\x7fELF\0").expect("written");
        absent(std::slice::from_ref(&program)).expect("none");
    }
}
