//! The fault matrix as a table.

use futures_util::future::LocalBoxFuture;

use super::bounds::{self, Within};
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

/// One row.
pub struct Row {
    /// `F01`; `U01` is a row about releases.
    pub id: &'static str,
    /// The fault.
    pub fault: &'static str,
    /// How it is injected.
    pub injected: &'static str,
    /// What must hold beside the invariants.
    pub wanted: &'static str,
    /// How long it may take.
    pub within: Vec<Within>,
    /// What it stands on.
    pub needs: Needs,
    /// It is in the quick half.
    pub quick: bool,
    /// The injection.
    pub run: Injection,
    /// Whether this machine lets us inject it; else what is missing.
    pub possible: fn() -> Result<(), String>,
}

impl Row {
    /// A row that runs in a lane, in the quick half; `words` are fault, injection and what must hold.
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

    /// A row.
    pub(super) fn runs<F>(
        id: &'static str,
        words: [&'static str; 3],
        (needs, quick): (Needs, bool),
        run: impl Fn(Ground) -> F + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<Seen>> + 'static,
    {
        let [fault, injected, wanted] = words;
        let run: Injection = Box::new(move |ground| Box::pin(run(ground)));
        let within = bounds::of(id);
        Self { id, fault, injected, wanted, within, needs, quick, run, possible: || Ok(()) }
    }

    /// The same row, not run where the machine does not let us inject it.
    pub(super) fn only_if(mut self, possible: fn() -> Result<(), String>) -> Self {
        self.possible = possible;
        self
    }
}

/// Every row, in order.
#[must_use]
pub fn matrix() -> Vec<Row> {
    let mut rows: Vec<Row> = [
        rows::crash::rows(),
        rows::life::rows(),
        rows::broker::rows(),
        rows::alarm::rows(),
        rows::cluster::rows(),
        rows::delivery::rows(),
        rows::store::rows(),
        rows::lost::rows(),
        rows::ill::rows(),
        rows::io::rows(),
        rows::failing::rows(),
        rows::calendar::rows(),
        rows::crowd::rows(),
        rows::tls::rows(),
        rows::upgrade::rows(),
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
        let faults = (1..=62).map(|number| format!("F{number:02}"));
        let wanted: Vec<String> = faults.chain(["U01", "U02"].map(str::to_owned)).collect();
        let rows: Vec<&str> = matrix().iter().map(|row| row.id).collect();
        assert_eq!(rows, wanted);
    }
}
