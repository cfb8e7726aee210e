//! The streams of the journal: each read at its end, since a passive look asks the broker for its record only, which
//! may outlive the stream.

use std::time::Duration;

use shared::broker::rabbitmq::{Library, Place};
use shared::broker::{BrokerError, Options, topology::Topology};
use shared::settings::Settings;
use tokio::time::timeout;

use super::broker::{away, missing};
use super::{Finding, State};
use crate::connect;

/// How long a stream may take to be opened, and then to give a line.
const LIMIT: Duration = Duration::from_secs(5);

/// Looks at each.
pub(super) async fn look(settings: &Settings) -> Vec<Finding> {
    let options = connect::options(settings);
    let mut findings = Vec::new();
    for stream in Topology::fleet().streams {
        let looked = timeout(LIMIT * 2, last_line(&options, &stream.name)).await;
        let finding = match looked {
            Ok(read) => of_stream(&stream.name, read),
            Err(_) => silent(&stream.name),
        };
        let is_away = finding.state == State::Away;
        findings.push(finding);
        if is_away {
            break;
        }
    }
    findings
}

/// The offset of the last line; none of an empty stream. On a connection of its own: a broken stream costs it.
async fn last_line(options: &Options, stream: &str) -> Result<Option<u64>, BrokerError> {
    let library = Library::open(options).await?;
    let line = async { library.read(stream, Place::Last).await?.next_within(LIMIT).await }.await;
    library.close().await;
    Ok(line?.and_then(|line| line.offset()))
}

fn of_stream(stream: &str, read: Result<Option<u64>, BrokerError>) -> Finding {
    let what = format!("stream {stream}");
    match read {
        Ok(Some(_)) => Finding::good(what, "is there, and its end can be read"),
        Ok(None) => Finding::good(what, "is there, and empty"),
        Err(BrokerError::Topology { source, .. }) if is_missing(&source.to_string()) => missing(what),
        Err(BrokerError::Topology { .. }) => {
            let how = "the broker has its record and lost the stream: whoever uses it loses its connection";
            Finding::new(State::Bad, what, how, "docs/runbook.md, \"A journal stream is lost\"")
        }
        Err(BrokerError::Silent { .. }) => silent(stream),
        Err(error) => away(&error),
    }
}

fn silent(stream: &str) -> Finding {
    let mend = "look for a majority of the broker's nodes, then for the node that leads the stream";
    Finding::new(State::Bad, format!("stream {stream}"), "does not answer", mend)
}

/// Whether the broker says that there is none, or none for this user.
fn is_missing(said: &str) -> bool {
    let said = said.replace('-', "_");
    said.contains("NOT_FOUND") || said.contains("ACCESS_REFUSED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_is_missing_lost_or_silent_is_told_apart() {
        let refused = |said: &str| {
            let source = std::io::Error::other(said.to_owned()).into();
            Err(BrokerError::Topology { object: "s".to_owned(), source })
        };
        for (read, state, word) in [
            (Ok(Some(7)), State::Good, ""),
            (Ok(None), State::Good, ""),
            (refused("NOT_FOUND - no queue 's'"), State::Bad, "amqp.declare"),
            (refused("ACCESS-REFUSED - read access"), State::Bad, "amqp.declare"),
            (refused("INTERNAL_ERROR"), State::Bad, "runbook"),
            (Err(BrokerError::Silent { stream: "s".to_owned(), waited: LIMIT }), State::Bad, "majority"),
            (Err(BrokerError::Unavailable { source: None }), State::Away, "amqp.url"),
        ] {
            let finding = of_stream("s", read);
            assert_eq!(finding.state, state, "{}", finding.how);
            assert!(finding.mend.contains(word), "{}", finding.mend);
        }
    }
}
