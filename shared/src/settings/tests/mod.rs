//! Facts about settings and enti.

mod enti;
mod live;
mod page;
mod settings;

use std::path::Path;

use crate::domain::Fault;

/// Writes a file below a folder, with the folders above it.
fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Asserts that a fault of that key has that reason and ends in that file's name.
fn assert_fault(faults: &[Fault], file: &str, key: &str, reason: &str) {
    let found = faults.iter().any(|f| f.file.ends_with(file) && f.key == key && f.reason.contains(reason));
    assert!(found, "no fault {file}: {key}: …{reason}… in {faults:#?}");
}

/// The repository's root.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
