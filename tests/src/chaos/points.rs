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
    use super::*;

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
