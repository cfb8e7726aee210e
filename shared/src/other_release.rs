//! A build that plays the release before or after its own, for tests of a rollout.
//!
//! Without the cargo feature `other-release`, which only the package `tests` turns on, nothing here does
//! anything: a release has neither the code nor the name. With it, the environment says which release a
//! process plays:
//!
//! ```text
//! PROMEMORIA_TEST_RELEASE=previous|next
//! ```
//!
//! Every format of [`crate::formats`] is then one version lower or higher. The next release also adds a field
//! to every body and wraps every record, so that nobody reads them by accident.

#[cfg(feature = "other-release")]
pub(crate) use playing::{add_field, is_next, shifted};

/// The version of a format that this process has.
#[cfg(not(feature = "other-release"))]
pub(crate) fn shifted(version: u8) -> u8 {
    version
}

#[cfg(feature = "other-release")]
mod playing {
    use std::sync::LazyLock;

    /// The release that the environment names.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Release {
        Previous,
        This,
        Next,
    }

    static PLAYED: LazyLock<Release> =
        LazyLock::new(|| Release::named(&std::env::var("PROMEMORIA_TEST_RELEASE").unwrap_or_default()));

    impl Release {
        fn named(name: &str) -> Self {
            match name {
                "previous" => Self::Previous,
                "next" => Self::Next,
                _ => Self::This,
            }
        }

        fn shifts(self, version: u8) -> u8 {
            match self {
                Self::Previous => version.saturating_sub(1),
                Self::This => version,
                Self::Next => version.saturating_add(1),
            }
        }
    }

    /// The version of a format that this process has.
    pub(crate) fn shifted(version: u8) -> u8 {
        PLAYED.shifts(version)
    }

    /// Whether this process plays the next release.
    pub(crate) fn is_next() -> bool {
        *PLAYED == Release::Next
    }

    /// A body as the next release writes it: with a field that nobody knows yet.
    pub(crate) fn add_field(body: Vec<u8>) -> Vec<u8> {
        match body.strip_suffix(b"}") {
            Some(open) if is_next() => [open, br#","domani":{"prova":true}}"#].concat(),
            _ => body,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_release_is_one_version_away() {
            for (name, version) in [("previous", 3), ("", 4), ("tomorrow", 4), ("next", 5)] {
                assert_eq!(Release::named(name).shifts(4), version, "{name}");
            }
        }
    }
}
