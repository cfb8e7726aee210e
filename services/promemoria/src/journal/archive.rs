//! Where an archive of the journal lies: a file, or `-`, which is standard output for writing and standard
//! input for reading. A pod without a shell has no other way to hand a file out or in.

use std::fs::{File, OpenOptions};
use std::io::{self, stdin, stdout};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Whether it is standard input or output.
pub(super) fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A new file that only its owner may read, never one that is there already.
pub(super) fn create(path: &Path) -> io::Result<File> {
    if is_stream(path) {
        return Ok(stdout().as_fd().try_clone_to_owned()?.into());
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// An archive to read, and its length, 0 if nobody knows it.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = if is_stream(path) { stdin().as_fd().try_clone_to_owned()?.into() } else { File::open(path)? };
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_archive_takes_no_ones_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        assert!(create(&path).is_ok() && !is_stream(&path));
        assert_eq!(create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(open(&path).unwrap().1, 0);
        assert!(open(&folder.path().join("other.jsonl")).is_err());
    }
}
