//! Secrets: given as text or as the path of a file, never printed.

use secrecy::SecretString;

use super::kinds;
use super::reader::Section;

/// Takes `key` or `key_file`. The stronger layer wins (the environment's `url` over the file's
/// `url_file`); both in one layer are a fault. A file's trailing white space is taken off.
pub(super) fn take(section: &mut Section, key: &str) -> Option<SecretString> {
    let file_key = format!("{key}_file");
    let inline = section.has(key).then(|| section.layer(key));
    let in_file = section.has(&file_key).then(|| section.layer(&file_key));
    let text = section.opt(key, kinds::secret);
    let path = section.opt(&file_key, kinds::path);
    match (inline, in_file) {
        (Some(a), Some(b)) if a == b => {
            section.fault(key, format!("give {key} or {file_key}, not both"));
            None
        }
        (Some(a), Some(b)) if a > b => text,
        (_, Some(_)) => {
            let content = section.read_file(&file_key, &path?)?;
            let content = content.trim_end();
            if content.is_empty() {
                section.fault(&file_key, "the file is empty");
                return None;
            }
            Some(SecretString::from(content))
        }
        _ => text,
    }
}

/// The same where one of the two must be given.
pub(super) fn require(section: &mut Section, key: &str) -> SecretString {
    if !section.has(key) && !section.has(&format!("{key}_file")) {
        section.fault(key, format!("required: give {key} or {key}_file"));
    }
    take(section, key).unwrap_or_default()
}
