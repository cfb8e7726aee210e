//! What a command has to say, and how the process ends.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::Value;

/// Exit code: it found something.
const FOUND: u8 = 1;
/// Exit code: wrong usage, as clap has it.
const USAGE: u8 = 2;
/// Exit code: RabbitMQ, Redis or IO is away (`EX_UNAVAILABLE` of sysexits.h).
const AWAY: u8 = 69;

/// What a command found out.
#[derive(Debug)]
pub(crate) struct Report {
    /// For people.
    pub(crate) text: String,
    /// The same for programs.
    pub(crate) json: Value,
    /// Something that asks for attention was found: the exit code is 1.
    pub(crate) found: bool,
    /// A dependency is away: the exit code is 69.
    pub(crate) away: bool,
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something given is at fault: files, events, settings. One line each.
    Fault(Vec<String>),
    /// The command line is at fault in a way that clap cannot see.
    Usage(String),
    /// RabbitMQ, Redis or IO is away, or refused: what, why, and what to do next.
    Away(String),
}

impl Report {
    /// Nothing that asks for attention.
    pub(crate) fn good(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, found: false, away: false }
    }

    /// Something that asks for attention, if `found`.
    pub(crate) fn with_findings(text: impl Into<String>, json: Value, found: bool) -> Self {
        Self { text: text.into(), json, found, away: false }
    }
}

impl Failure {
    /// One fault.
    pub(crate) fn fault(line: impl Into<String>) -> Self {
        Self::Fault(vec![line.into()])
    }
}

/// What is written where, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Ending {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// 0 good, 1 found something, 2 wrong usage, 69 a dependency is away.
    pub code: u8,
}

impl Ending {
    pub(crate) fn of(outcome: Result<Report, Failure>, as_json: bool) -> Self {
        let err = |lines: &[String]| {
            let mut text = String::new();
            for line in lines {
                push(&mut text, format_args!("promemoria: {line}\n"));
            }
            text
        };
        match outcome {
            Ok(report) => {
                let mut out = if as_json { format!("{:#}", report.json) } else { report.text };
                if !out.is_empty() && !out.ends_with('\n') {
                    out.push('\n');
                }
                let found = if report.found { FOUND } else { 0 };
                Self { out, err: String::new(), code: if report.away { AWAY } else { found } }
            }
            Err(Failure::Fault(lines)) => Self { out: String::new(), err: err(&lines), code: FOUND },
            Err(Failure::Usage(line)) => Self { out: String::new(), err: err(&[line]), code: USAGE },
            Err(Failure::Away(line)) => Self { out: String::new(), err: err(&[line]), code: AWAY },
        }
    }

    /// Writes to standard output and error. A reader that went away (`| head`) is no fault.
    pub fn write(&self) {
        let mut out = std::io::stdout().lock();
        drop(out.write_all(self.out.as_bytes()).and_then(|()| out.flush()));
        drop(std::io::stderr().lock().write_all(self.err.as_bytes()));
    }
}

/// Adds to a text.
pub(crate) fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    text.write_fmt(what).ok();
}

/// `1 event`, `2 events`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ending_has_its_exit_code() {
        let report = |found, away| Report { text: "x".to_owned(), json: Value::Null, found, away };
        let cases = [
            (Ok(report(false, false)), 0),
            (Ok(report(true, false)), 1),
            (Ok(report(true, true)), 69),
            (Err(Failure::fault("x")), 1),
            (Err(Failure::Usage("x".to_owned())), 2),
            (Err(Failure::Away("x".to_owned())), 69),
        ];
        for (outcome, code) in cases {
            let name = format!("{outcome:?}");
            assert_eq!(Ending::of(outcome, false).code, code, "{name}");
        }
    }

    #[test]
    fn faults_go_to_standard_error_one_a_line() {
        let ending = Ending::of(Err(Failure::Fault(vec!["a".to_owned(), "b".to_owned()])), true);
        assert_eq!((ending.out.as_str(), ending.err.as_str()), ("", "promemoria: a\npromemoria: b\n"));
    }
}
