//! `doctor`: what is wrong with settings, RabbitMQ, Redis and IO, and how to mend it.

mod broker;
mod fleet;
mod io;
mod redis;
mod streams;

use std::path::Path;

use serde_json::{Value, json};

use crate::lint;
use crate::report::{Failure, Report, counted, push};
use crate::setup::Setup;

/// How a thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// As it must be.
    Good,
    /// Worth knowing, nothing to mend.
    Note,
    /// To be mended.
    Bad,
    /// Not to be reached.
    Away,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Bad => "bad",
            Self::Away => "away",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug)]
pub(crate) struct Finding {
    state: State,
    /// What was looked at.
    what: String,
    /// How it is.
    how: String,
    /// What to do; empty where there is nothing to do.
    mend: String,
}

impl Finding {
    pub(crate) fn good(what: impl Into<String>, how: impl Into<String>) -> Self {
        Self { state: State::Good, what: what.into(), how: how.into(), mend: String::new() }
    }

    pub(crate) fn new(
        state: State,
        what: impl Into<String>,
        how: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { state, what: what.into(), how: how.into(), mend: mend.into() }
    }
}

/// Looks at everything that the settings name.
pub(crate) async fn run(config: Option<&Path>) -> Result<Report, Failure> {
    let version = Finding::good("promemoria", shared::telemetry::VERSION);
    let lint = lint::run(config);
    let mut findings = vec![version];
    findings.push(if lint.found {
        Finding::new(State::Bad, "settings, enti, catalogue", lint.text.trim_end(), "run `promemoria lint`")
    } else {
        Finding::good("settings, enti, catalogue", lint.text.trim_end())
    });
    if let Ok(setup) = Setup::load(config) {
        let key = setup.settings.privacy.trial_key;
        findings.extend(key.then(|| {
            Finding::new(
                State::Note,
                "privacy",
                "recipients are hashed with the public trial key",
                "in production set privacy.recipient_hash_key_file",
            )
        }));
        findings.extend(broker::look(&setup.settings).await);
        findings.extend(redis::look(&setup).await);
        findings.extend(io::look(&setup).await);
    }
    Ok(report(&findings))
}

fn report(findings: &[Finding]) -> Report {
    let mut text = String::new();
    for finding in findings {
        let how = finding.how.replace('\n', "\n      ");
        push(&mut text, format_args!("{:<4}  {}: {how}\n", finding.state.word(), finding.what));
        if !finding.mend.is_empty() {
            push(&mut text, format_args!("      -> {}\n", finding.mend));
        }
    }
    let with = |state| findings.iter().filter(|finding| finding.state == state).count();
    let (bad, away) = (with(State::Bad), with(State::Away));
    let last = match bad + away {
        0 => "\nall good\n".to_owned(),
        count => format!("\n{} to mend\n", counted(count, "finding")),
    };
    text.push_str(&last);
    let items = findings.iter().map(|finding| {
        json!({ "state": finding.state.word(), "what": finding.what, "how": finding.how, "mend": finding.mend })
    });
    let json = json!({ "findings": items.collect::<Value>() });
    Report { text, json, found: bad + away > 0, away: away > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(states: &[State]) -> (bool, bool) {
        let findings: Vec<_> = states.iter().map(|state| Finding::new(*state, "x", "y", "z")).collect();
        let report = report(&findings);
        (report.found, report.away)
    }

    #[test]
    fn what_is_away_weighs_more_than_what_is_bad() {
        assert_eq!(ending(&[State::Good, State::Note]), (false, false));
        assert_eq!(ending(&[State::Good, State::Bad]), (true, false));
        assert_eq!(ending(&[State::Away, State::Bad]), (true, true));
    }

    #[test]
    fn each_finding_says_how_to_mend_it() {
        let text = report(&[Finding::new(State::Bad, "redis", "no room", "add memory")]).text;
        assert_eq!(text, "bad   redis: no room\n      -> add memory\n\n1 finding to mend\n");
    }
}
