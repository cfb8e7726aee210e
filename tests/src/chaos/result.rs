//! What a run of the matrix found, and the page made of it.

use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::bounds::Within;
use super::matrix::matrix;
use super::soak::record::{Soak, keep, section};
use crate::fleet::project_root;

/// What became of the events of a row, in the words of Jepsen's queue checker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Events published, confirmed or not.
    pub attempt: usize,
    /// Events that the broker confirmed.
    pub acknowledged: usize,
    /// Confirmed events whose message IO created.
    pub ok: usize,
    /// Confirmed events whose message is nowhere.
    pub lost: Vec<String>,
    /// Messages created that nobody asked for, or that were told as not sent.
    pub unexpected: Vec<String>,
    /// Copies beyond the first.
    pub duplicated: usize,
    /// Events that were not confirmed and whose message was created.
    pub recovered: usize,
    /// Events that ended in doubt.
    pub in_doubt: usize,
}

impl Report {
    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{} attempted, {} acknowledged, {} ok, {} lost, {} unexpected, {} duplicated, {} recovered, {} in doubt",
            self.attempt,
            self.acknowledged,
            self.ok,
            self.lost.len(),
            self.unexpected.len(),
            self.duplicated,
            self.recovered,
            self.in_doubt
        )
    }
}

/// How a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// What must hold held.
    Held,
    /// It did not.
    Broken,
    /// It cannot be injected on this machine.
    NotHere,
    /// It was not run yet.
    #[serde(alias = "NotYet", alias = "TestedApart")]
    NotRun,
}

/// One row as it went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// `F01`.
    pub id: String,
    /// What was seen, or why nothing was.
    pub seen: String,
    /// How it ended.
    pub verdict: Verdict,
    /// How long the row took, seconds.
    pub seconds: u64,
    /// When it ended, `2026-11-22T10:00:00Z`; empty in results of before this was kept.
    #[serde(default)]
    pub at: String,
    /// It was run as long as the matrix says, where it is run shorter otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    /// The checker's counts, where it ran.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub report: Option<Report>,
}

/// A run of the matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The brokers, as they name themselves.
    pub brokers: String,
    /// The day, `2026-11-22`.
    pub day: String,
    /// The rows in their order.
    pub findings: Vec<Finding>,
    /// Runs of the random mix that held, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub soaks: Vec<Soak>,
}

/// The machine-readable result that the page is made of.
#[must_use]
pub fn result_file() -> PathBuf {
    project_root().join("docs/guarantees.json")
}

/// The page.
#[must_use]
pub fn page_file() -> PathBuf {
    project_root().join("docs/guarantees.md")
}

impl Outcome {
    /// Reads the last full run.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read() -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(result_file()).context("no result of the matrix yet")?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Writes result and page.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        std::fs::write(result_file(), serde_json::to_string_pretty(self)? + "\n")?;
        Ok(std::fs::write(page_file(), self.page())?)
    }

    /// Puts newer findings in the place of older ones, in the order of the matrix.
    #[must_use]
    pub fn merged(mut self, newer: &Self) -> Self {
        self.brokers.clone_from(&newer.brokers);
        self.day.clone_from(&newer.day);
        let mut findings = Vec::new();
        for row in matrix() {
            let of = |all: &[Finding]| all.iter().find(|finding| finding.id == row.id).cloned();
            findings.extend(of(&newer.findings).or_else(|| of(&self.findings)));
        }
        self.findings = findings;
        newer.soaks.iter().rev().for_each(|soak| keep(&mut self.soaks, soak));
        self
    }

    /// The same with a run of the random mix.
    #[must_use]
    pub fn with(mut self, soak: &Soak) -> Self {
        keep(&mut self.soaks, soak);
        self
    }

    /// The rows that broke.
    #[must_use]
    pub fn broken(&self) -> Vec<&Finding> {
        self.findings.iter().filter(|finding| finding.verdict == Verdict::Broken).collect()
    }

    /// `docs/guarantees.md`.
    #[must_use]
    pub fn page(&self) -> String {
        let count = |verdict| self.findings.iter().filter(|f| f.verdict == verdict).count();
        let mut page = INTRODUCTION.to_owned();
        let last = format!(
            "\nLast run: {}, {}. {} rows held, {} broke, {} cannot be injected on that machine, {} were not run.\n\n",
            self.day,
            self.brokers,
            count(Verdict::Held),
            count(Verdict::Broken),
            count(Verdict::NotHere),
            count(Verdict::NotRun)
        );
        page.push_str(&last);
        page.push_str("| row | fault | injected | must hold | time | seen | verdict |\n| --- | --- | --- | --- | --- | --- | --- |\n");
        for row in matrix() {
            let Some(finding) = self.findings.iter().find(|finding| finding.id == row.id) else { continue };
            let (seen, verdict) = (seen(finding), self.verdict(finding));
            let times: Vec<String> = row.within.iter().map(Within::words).collect();
            let cells = [row.id, row.fault, row.injected, row.wanted, &times.join("; "), &seen, &verdict];
            let cells: Vec<String> =
                cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
            page.extend(["| ", &cells.join(" | "), " |\n"]);
        }
        page.push_str(&section(&self.soaks));
        page
    }

    /// A verdict in words, with its day where that is not the last run's.
    fn verdict(&self, finding: &Finding) -> String {
        let word = match finding.verdict {
            Verdict::Held if finding.full => "held, whole",
            Verdict::Held => "held",
            Verdict::Broken => "**broken**",
            Verdict::NotHere => "not here",
            Verdict::NotRun => "not run",
        };
        match finding.at.split_once('T') {
            Some((day, _)) if day == self.day => word.to_owned(),
            Some((day, _)) => format!("{word}, {day}"),
            None => format!("{word}, in a run before"),
        }
    }
}

fn seen(finding: &Finding) -> String {
    match &finding.report {
        Some(report) => format!("{}; {}", finding.seen, report.line()),
        None => finding.seen.clone(),
    }
}

/// What stands above the table.
const INTRODUCTION: &str = include_str!("guarantees.md");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_was_run_whole() {
        let finding = |id: &str, more: &str| {
            format!(
                r#"{{"id": "{id}", "seen": "-", "verdict": "held", "seconds": 1, "at": "2026-11-22T"{more}}}"#
            )
        };
        let findings = [finding("F15", r#", "full": true"#), finding("F17", "")].join(",");
        let text = format!(r#"{{"brokers": "-", "day": "2026-11-22", "findings": [{findings}]}}"#);
        let outcome: Outcome = serde_json::from_str(&text).expect("a result");
        let page = outcome.page();
        let line = |id: &str| page.lines().find(|line| line.starts_with(&format!("| {id} "))).expect("a row");
        assert!(line("F15").ends_with("| held, whole |") && line("F17").ends_with("| held |"), "{page}");
    }

    #[test]
    fn the_page_is_made_of_the_last_result() {
        let outcome = Outcome::read().expect("docs/guarantees.json");
        let page = std::fs::read_to_string(page_file()).expect("docs/guarantees.md");
        assert!(
            page == outcome.page(),
            "docs/guarantees.md is not made of docs/guarantees.json: run `make chaos ROWS=page`"
        );
        assert!(outcome.broken().is_empty(), "rows are broken: {:?}", outcome.broken());
        let known: Vec<&str> = outcome.findings.iter().map(|finding| finding.id.as_str()).collect();
        let rows: Vec<&str> = matrix().iter().map(|row| row.id).collect();
        assert_eq!(known, rows, "the last result has every row");
    }

    #[test]
    fn a_result_of_before_the_random_mix_is_read_and_a_newer_one_keeps_its_runs() {
        let old = r#"{ "brokers": "", "day": "", "findings": [] }"#;
        let old: Outcome = serde_json::from_str(old).expect("it is read");
        assert!(old.soaks.is_empty() && !serde_json::to_string(&old).expect("JSON").contains("soaks"));
        let run = r#"{ "seed": 7, "minutes": 5, "day": "", "brokers": "", "kinds": 5, "faults": [], "rests": 1,
            "slowest_s": 1, "largest": { "mib": 1, "files": 1 }, "report": { "attempt": 1, "acknowledged": 1, "ok": 1,
            "lost": [], "unexpected": [], "duplicated": 0, "recovered": 0, "in_doubt": 0 } }"#;
        let soak: Soak = serde_json::from_str(run).expect("it is read");
        let with = old.clone().with(&soak);
        assert_eq!(with.clone().merged(&old).soaks, std::slice::from_ref(&soak));
        assert_eq!(old.merged(&with).soaks, [soak]);
    }
}
