//! A fault in a file that a person wrote: settings, ente or catalogue.

/// What is wrong, where. Never carries the value found: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, or `environment`, or `built-in defaults`.
    pub file: String,
    /// Dotted path of the key, `-` for the file as a whole.
    pub key: String,
    /// Why it is refused and what would be taken.
    pub reason: String,
}

impl Fault {
    /// A fault at a key; with an empty key, of the file as a whole.
    #[must_use]
    pub fn new(file: &str, key: impl Into<String>, reason: impl Into<String>) -> Self {
        let key = Some(key.into()).filter(|key| !key.is_empty());
        Self { file: file.to_owned(), key: key.unwrap_or_else(|| "-".to_owned()), reason: reason.into() }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.key, self.reason)
    }
}
