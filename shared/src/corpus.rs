//! Kept inputs and small damage to them, for tests that feed a parser what it should not get.
//!
//! The inputs are files, one a case; the damage is described by numbers, which bolero makes and shrinks: at random
//! in `cargo test`, led by coverage under `make fuzz`.

use std::path::Path;

/// Damaged copies of each kind in one run of the tests.
pub const CASES: usize = 2_000;

/// One change: what, where, with what. Any numbers are one.
pub type Edit = (u8, u16, u8);

/// What is put in: the bytes that structure JSON, Markdown and templates, and some that never belong there.
const PIECES: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"0",
    b"-1",
    b"1e400",
    b"null",
    b"true",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\0",
    b"\n---\n",
    b"{{ 7*7 }}",
    b"{% if x %}",
    b"[a](https://evil.example)",
    b"<b>",
    b"\xe2\x80\xae",
    b"RSSMRA85T10A562S",
];

/// Every file of a folder whose name ends like this, by name.
///
/// # Panics
/// The folder cannot be read, or has none: a corpus that is not there tests nothing.
#[must_use]
pub fn files(folder: &Path, ending: &str) -> Vec<(String, Vec<u8>)> {
    let read = || -> std::io::Result<Vec<(String, Vec<u8>)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if name.ends_with(ending) {
                files.push((name, std::fs::read(path)?));
            }
        }
        files.sort();
        Ok(files)
    };
    match read() {
        Ok(files) if !files.is_empty() => files,
        Ok(_) => panic!("{}: no input", folder.display()),
        Err(error) => panic!("{}: {error}", folder.display()),
    }
}

/// One of the inputs, by any number.
///
/// # Panics
/// There are none.
#[must_use]
pub fn any_of(corpus: &[(String, Vec<u8>)], number: u16) -> &[u8] {
    &corpus[usize::from(number) % corpus.len()].1
}

/// The input after these changes, in order. `other` is one to take pieces of.
#[must_use]
pub fn edited(input: &[u8], other: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for (what, place, with) in edits {
        let at = usize::from(*place) % (bytes.len() + 1);
        let length = usize::from(*with);
        let end = (at + length).min(bytes.len());
        match what % 6 {
            0 => drop(bytes.splice(at..at, PIECES[length % PIECES.len()].iter().copied())),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= with),
            3 => {
                let again = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, again));
            }
            4 => {
                let from = usize::from(*place) % (other.len() + 1);
                let piece = other[from..(from + length).min(other.len())].to_vec();
                drop(bytes.splice(at..end, piece));
            }
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_numbers_are_edits() {
        for what in 0..=255 {
            for place in [0, 1, 7, 4_000, u16::MAX] {
                for with in [0, 1, 3, 255] {
                    let edits = [(what, place, with), (with, place, what)];
                    assert!(edited(b"{\"a\":1}", b"[2]", &edits).len() < 600);
                    assert!(edited(b"", b"", &edits).len() < 600);
                }
            }
        }
        assert_eq!(edited(b"abc", b"", &[(1, 1, 1)]), b"ac");
        assert_eq!(edited(b"abc", b"xyz", &[(4, 1, 1)]), b"ayc");
    }
}
