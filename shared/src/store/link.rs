//! A connection that is replaced when it no longer serves.
//!
//! The client library leaves a connection only when its socket breaks. Two faults keep the socket whole:
//! a server that was demoted answers `READONLY` for ever, and one that hangs (a stopped process, a
//! network that swallows) answers nothing. Here both end the connection: a new one goes to whoever is
//! the master then.
//!
//! No command is sent a second time here. The caller knows what a repetition means: every script may be
//! repeated, and one that timed out may have run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value};
use tokio::time::{Instant, timeout};

use super::door::{self, Line};
use super::options::Options;

/// Answers missed in a row after which the connection is given up. One may be a slow command.
const SILENCES: u32 = 2;
/// Bound on opening a connection, sentinels included.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// First and longest time in which nobody tries again after a connection could not be opened.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A connection to Redis for many at once; clones share it.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    standing: Mutex<Standing>,
    /// Held by the one that opens.
    opening: tokio::sync::Mutex<()>,
}

/// How the connection stands.
#[derive(Default)]
struct Standing {
    line: Option<Line>,
    /// Number of the line: an answer on an older one says nothing of this.
    number: u64,
    silences: u32,
    /// How often opening failed in all.
    failures: u64,
    pause: Duration,
    closed_until: Option<Instant>,
}

/// What an answer says of the connection it came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It serves.
    Serves,
    /// Nobody answered, or a cluster could not; once is no proof.
    Silent,
    /// It leads to the wrong place or nowhere.
    Lost,
}

impl Link {
    /// Opens the connection; fails if nobody is there. Afterwards it is opened again by itself.
    pub(super) async fn open(options: Options) -> RedisResult<Self> {
        let inner = Inner { options, standing: Mutex::default(), opening: tokio::sync::Mutex::new(()) };
        let link = Self { inner: Arc::new(inner) };
        link.line().await?;
        Ok(link)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        // Every change is a few plain assignments: a panic in between leaves it usable.
        self.inner.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, opened if need be by one for all. Who waited for an attempt that failed gets its
    /// failure and not an attempt of its own.
    async fn line(&self) -> RedisResult<(u64, Line)> {
        let failures = {
            let standing = self.standing();
            if let Some(line) = &standing.line {
                return Ok((standing.number, line.clone()));
            }
            standing.failures
        };
        let _opening = self.inner.opening.lock().await;
        {
            let standing = self.standing();
            if let Some(line) = &standing.line {
                return Ok((standing.number, line.clone()));
            }
            let early = standing.closed_until.is_some_and(|until| Instant::now() < until);
            if early || standing.failures != failures {
                return Err(away());
            }
        }
        let opened = timeout(OPEN_LIMIT, door::open(&self.inner.options)).await;
        self.standing().opened(opened.unwrap_or_else(|_| Err(silence())))
    }

    /// The connection that is open now, opened if need be.
    pub(super) async fn pinned(&self) -> RedisResult<Pinned> {
        let (number, line) = self.line().await?;
        Ok(Pinned { link: self.clone(), number, line })
    }

    /// Judges the connection by an answer.
    fn judge(&self, number: u64, verdict: Verdict) {
        if self.standing().judge(number, verdict) {
            tracing::warn!(?verdict, "redis connection given up, a new one follows");
        }
    }
}

/// One connection of a link, which is not replaced: a command on it that fails says nothing of the next one.
pub(super) struct Pinned {
    link: Link,
    number: u64,
    line: Line,
}

impl Pinned {
    /// The run of the server at its end, as the scripts take it.
    pub(super) fn run(&self) -> Arc<str> {
        self.line.run()
    }
}

impl Standing {
    fn opened(&mut self, opened: RedisResult<Line>) -> RedisResult<(u64, Line)> {
        match opened {
            Ok(line) => {
                if self.number > 0 {
                    tracing::info!("redis reached again");
                }
                self.number += 1;
                self.line = Some(line.clone());
                (self.silences, self.pause, self.closed_until) = (0, Duration::ZERO, None);
                Ok((self.number, line))
            }
            Err(error) => {
                // The first of a series: each waiting command would say it again.
                if self.pause.is_zero() {
                    tracing::warn!(error = %reason(&error), "redis connection not opened");
                }
                self.failures += 1;
                self.pause = (self.pause * 2).clamp(PAUSES.0, PAUSES.1);
                self.closed_until = Some(Instant::now() + self.pause);
                Err(error)
            }
        }
    }

    /// True if the connection was given up.
    fn judge(&mut self, number: u64, verdict: Verdict) -> bool {
        if number != self.number || self.line.is_none() {
            return false;
        }
        // A cluster's client mends single nodes by itself: one that is away must not cost the others
        // their connections.
        let cluster = matches!(self.line, Some(Line::Cluster(_)));
        match verdict {
            Verdict::Serves => self.silences = 0,
            Verdict::Lost if !cluster => self.silences = SILENCES,
            Verdict::Lost | Verdict::Silent => self.silences += 1,
        }
        let lost = self.silences >= SILENCES;
        if lost {
            self.line = None;
        }
        lost
    }
}

/// What one answer says. At this depth a server's refusal is still a value.
fn of_answer(answer: &RedisResult<Value>) -> Verdict {
    match answer {
        Ok(value) => of_value(value),
        Err(error) => of_error(error),
    }
}

/// What the answers of a pipeline say: a refusal of one refuses all.
fn of_answers(answers: &RedisResult<Vec<Value>>) -> Verdict {
    match answers {
        Ok(values) => {
            values.iter().map(of_value).find(|it| *it != Verdict::Serves).unwrap_or(Verdict::Serves)
        }
        Err(error) => of_error(error),
    }
}

fn of_value(value: &Value) -> Verdict {
    match value {
        Value::ServerError(error) => error.kind().map_or(Verdict::Serves, of_refusal),
        _ => Verdict::Serves,
    }
}

fn of_refusal(kind: ServerErrorKind) -> Verdict {
    match kind {
        ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading => {
            Verdict::Lost
        }
        ServerErrorKind::ClusterDown => Verdict::Silent,
        _ => Verdict::Serves,
    }
}

fn of_error(error: &RedisError) -> Verdict {
    match error.kind() {
        ErrorKind::Server(kind) => of_refusal(kind),
        _ if error.is_timeout() => Verdict::Silent,
        ErrorKind::Io => Verdict::Lost,
        _ if error.is_unrecoverable_error() => Verdict::Lost,
        _ => Verdict::Serves,
    }
}

/// Why it could not be opened. What the socket or TLS says, by which an operator knows a bad certificate from a
/// closed port; of a server's own words only the kind, since they may quote.
fn reason(error: &RedisError) -> String {
    if error.is_io_error() { error.to_string() } else { error.category().to_owned() }
}

fn silence() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

fn away() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::NotConnected).into()
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { self.pinned().await?.req_packed_command(cmd).await })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move { self.pinned().await?.req_packed_commands(pipeline, offset, count).await })
    }

    fn get_db(&self) -> i64 {
        match &self.standing().line {
            Some(line) => line.get_db(),
            None => 0,
        }
    }
}

impl Line {
    fn get_db(&self) -> i64 {
        match self {
            Self::Server(line, _) => line.get_db(),
            Self::Cluster(_) => 0,
        }
    }
}

impl ConnectionLike for Pinned {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let line = &mut self.line;
            // The library's own limit starts when there is room on the connection; this one before.
            let asked = timeout(self.link.inner.options.response_timeout, async move {
                match line {
                    Line::Server(line, _) => line.req_packed_command(cmd).await,
                    Line::Cluster(line) => line.req_packed_command(cmd).await,
                }
            });
            let answer = asked.await.unwrap_or_else(|_| Err(silence()));
            self.link.judge(self.number, of_answer(&answer));
            answer
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let line = &mut self.line;
            let asked = timeout(self.link.inner.options.response_timeout, async move {
                match line {
                    Line::Server(line, _) => line.req_packed_commands(pipeline, offset, count).await,
                    Line::Cluster(line) => line.req_packed_commands(pipeline, offset, count).await,
                }
            });
            let answer = asked.await.unwrap_or_else(|_| Err(silence()));
            self.link.judge(self.number, of_answers(&answer));
            answer
        })
    }

    fn get_db(&self) -> i64 {
        self.line.get_db()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demoted_or_broken_server_is_left_and_a_refusal_is_not() {
        use ServerErrorKind::{BusyLoading, MasterDown, NoPerm, NoScript, ReadOnly, ResponseError};
        for kind in [ReadOnly, MasterDown, BusyLoading] {
            let error = RedisError::from((ErrorKind::Server(kind), "told by the server"));
            assert_eq!(of_answer(&Err(error)), Verdict::Lost, "{kind:?}");
        }
        for kind in [ResponseError, NoScript, NoPerm] {
            assert_eq!(of_refusal(kind), Verdict::Serves, "{kind:?}");
        }
        assert_eq!(of_error(&std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()), Verdict::Lost);
        assert_eq!(of_error(&silence()), Verdict::Silent);
        assert_eq!(of_answers(&Ok(vec![Value::Okay, Value::Nil])), Verdict::Serves);
    }
}
