//! Which program of the fleet is asked for.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// A program of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The scheduler.
    Scheduler,
    /// The renderer.
    Renderer,
    /// The dispatcher.
    Dispatcher,
    /// The command line.
    Promemoria,
}

impl Role {
    fn named(name: &OsStr) -> Option<Self> {
        match name.to_str()? {
            "scheduler" => Some(Self::Scheduler),
            "renderer" => Some(Self::Renderer),
            "dispatcher" => Some(Self::Dispatcher),
            "promemoria" => Some(Self::Promemoria),
            _ => None,
        }
    }

    /// The role, and its words with its own name first: by the name under which the program was called
    /// (`/usr/local/bin/scheduler --config x`), else by the first argument (`fleet scheduler --config x`).
    pub(crate) fn of(words: Vec<OsString>) -> Option<(Self, Vec<OsString>)> {
        let called = words.first().and_then(|path| Path::new(path).file_name()).and_then(Self::named);
        if let Some(role) = called {
            return Some((role, words));
        }
        let role = Self::named(words.get(1)?)?;
        Some((role, words.into_iter().skip(1).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Option<(Role, Vec<String>)> {
        let (role, words) = Role::of(words.iter().map(OsString::from).collect())?;
        Some((role, words.into_iter().map(|word| word.into_string().unwrap()).collect()))
    }

    #[test]
    fn the_name_it_is_called_by_decides() {
        let words = ["/usr/local/bin/renderer", "--config", "scheduler"];
        assert_eq!(of(&words), Some((Role::Renderer, words.map(str::to_owned).to_vec())));
    }

    #[test]
    fn under_its_own_name_the_first_argument_decides() {
        let found = of(&["/usr/local/bin/fleet", "promemoria", "lint"]);
        assert_eq!(found, Some((Role::Promemoria, vec!["promemoria".to_owned(), "lint".to_owned()])));
    }

    #[test]
    fn anything_else_is_none() {
        for words in [&["fleet"][..], &["fleet", "sandbox"], &["fleet", "--config", "scheduler"], &[]] {
            assert_eq!(of(words), None, "{words:?}");
        }
    }
}
