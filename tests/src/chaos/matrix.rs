//! The fault matrix as a table.

use futures_util::future::LocalBoxFuture;

use super::ground::Ground;
use super::result::Report;
use super::rows;

/// What a row saw.
pub struct Seen {
    /// In words, for the page.
    pub words: String,
    /// The checker's counts.
    pub report: Option<Report>,
}

impl Seen {
    /// Words with the checker's counts.
    pub(super) fn new(words: impl Into<String>, report: Report) -> Self {
        Self { words: words.into(), report: Some(report) }
    }
}

/// What a row stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// A virtual host and a database of shared brokers.
    Lane,
    /// The brokers to itself: it stops, floods or starves them.
    Alone,
}

/// Injects, and holds what must hold.
pub type Injection = Box<dyn Fn(Ground) -> LocalBoxFuture<'static, anyhow::Result<Seen>>>;

/// Whether and how a row runs.
pub enum Kind {
    /// It runs.
    Run {
        /// What it stands on.
        needs: Needs,
        /// It is in the quick half.
        quick: bool,
        /// The injection.
        run: Injection,
    },
    /// Another test of the workspace holds it, by that test's name. The matrix does not run it.
    TestedIn(&'static str),
    /// Its injection is not there yet, with the reason.
    NotYet(&'static str),
    /// It cannot be injected on one machine, with the reason.
    NotHere(&'static str),
}

/// One row.
pub struct Row {
    /// `F01`.
    pub id: &'static str,
    /// The fault.
    pub fault: &'static str,
    /// How it is injected.
    pub injected: &'static str,
    /// What must hold beside the invariants.
    pub wanted: &'static str,
    /// Whether and how it runs.
    pub kind: Kind,
}

impl Row {
    /// A row without injection; `words` are fault, injection and what must hold.
    pub(super) fn unrun(id: &'static str, words: [&'static str; 3], kind: Kind) -> Self {
        let [fault, injected, wanted] = words;
        Self { id, fault, injected, wanted, kind }
    }

    /// A row that runs in a lane, in the quick half.
    pub(super) fn quick<F>(
        id: &'static str,
        words: [&'static str; 3],
        run: impl Fn(Ground) -> F + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<Seen>> + 'static,
    {
        Self::runs(id, words, (Needs::Lane, true), run)
    }

    /// A row that runs.
    pub(super) fn runs<F>(
        id: &'static str,
        words: [&'static str; 3],
        (needs, quick): (Needs, bool),
        run: impl Fn(Ground) -> F + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<Seen>> + 'static,
    {
        let run: Injection = Box::new(move |ground| Box::pin(run(ground)));
        Self::unrun(id, words, Kind::Run { needs, quick, run })
    }
}

/// Every row, in order.
#[must_use]
pub fn matrix() -> Vec<Row> {
    let mut rows: Vec<Row> = [
        rows::crash::rows(),
        rows::life::rows(),
        rows::broker::rows(),
        rows::store::rows(),
        rows::io::rows(),
        rows::rest::rows(),
    ]
    .into_iter()
    .flatten()
    .collect();
    rows.sort_by_key(|row| row.id);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_matrix_is_here_once() {
        let wanted: Vec<String> = (1..=62).map(|number| format!("F{number:02}")).collect();
        let rows: Vec<&str> = matrix().iter().map(|row| row.id).collect();
        assert_eq!(rows, wanted);
    }
}
