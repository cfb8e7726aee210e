//! The store's scripts on a connection.

use redis::{FromRedisValue, Script, ScriptInvocation};

use super::link::{Link, Pinned};
use super::options::Options;
use super::{Marks, StoreError, door};

/// A connection with the store's scripts; it is opened again by itself.
#[derive(Clone)]
pub struct Redis {
    connection: Link,
    /// First part of every key.
    pub(super) prefix: String,
    pub(super) scripts: std::sync::Arc<Scripts>,
    marks: Marks,
}

/// The scripts, each with the prelude in front.
pub(super) struct Scripts {
    pub(super) load: Script,
    pub(super) commit: Script,
    pub(super) claim: Script,
    pub(super) fence: Script,
    pub(super) settle: Script,
    pub(super) peek: Script,
    pub(super) tally: Script,
    pub(super) decide: Script,
    pub(super) sweep: Script,
    pub(super) forget: Script,
    pub(super) fell_due: Script,
    clock: Script,
    pub(super) restore: Script,
    pub(super) horizon: Script,
    pub(super) enter: Script,
    pub(super) register: Script,
    pub(super) strangers: Script,
    pub(super) unplaced: Script,
    pub(super) put_back: Script,
    pub(super) orphans: Script,
    pub(super) standing: Script,
    pub(super) vouch: Script,
}

const PRELUDE: &str = include_str!("scripts/prelude.lua");

/// In a test build the tests move the clock through a key; elsewhere Redis `TIME` is the clock.
const CLOCK_OFFSET: &str = if cfg!(feature = "virtual-time") {
    // `pcall`: on a cluster the key may be another node's, and then nothing moves.
    "(tonumber(tostring(redis.pcall('GET', 'promemoria:clock-offset-ms'))) or 0)"
} else {
    "0"
};

/// First line of a script that moves or frees what is there: it runs when memory is full too, so that
/// what is due still leaves. With such a line a cluster also refuses a script that strays to another slot,
/// and a replica refuses it at once. Redis 7 or later.
const MOVES: &str = "#!lua flags=allow-oom";
/// First line of a script that takes something in: when memory is full it is refused.
const TAKES: &str = "#!lua";

fn script(first_line: &str, body: &str) -> Script {
    Script::new(&format!("{first_line}\n{PRELUDE}{body}").replace("CLOCK_OFFSET()", CLOCK_OFFSET))
}

impl Scripts {
    fn new() -> Self {
        Self {
            load: script(MOVES, include_str!("scripts/load.lua")),
            commit: script(TAKES, include_str!("scripts/commit.lua")),
            claim: script(MOVES, include_str!("scripts/claim.lua")),
            fence: script(MOVES, include_str!("scripts/fence.lua")),
            settle: script(MOVES, include_str!("scripts/settle.lua")),
            peek: script(MOVES, include_str!("scripts/peek.lua")),
            tally: script(MOVES, include_str!("scripts/tally.lua")),
            decide: script(MOVES, include_str!("scripts/decide.lua")),
            sweep: script(MOVES, include_str!("scripts/sweep.lua")),
            forget: script(MOVES, include_str!("scripts/forget.lua")),
            restore: script(TAKES, include_str!("scripts/restore.lua")),
            fell_due: script(MOVES, include_str!("scripts/fell_due.lua")),
            clock: script(MOVES, "return now_ms()"),
            horizon: script(MOVES, include_str!("scripts/horizon.lua")),
            enter: script(TAKES, include_str!("scripts/enter.lua")),
            register: script(MOVES, include_str!("scripts/register.lua")),
            strangers: script(MOVES, include_str!("scripts/strangers.lua")),
            unplaced: script(MOVES, include_str!("scripts/unplaced.lua")),
            put_back: script(MOVES, include_str!("scripts/put_back.lua")),
            orphans: script(MOVES, include_str!("scripts/orphans.lua")),
            standing: script(MOVES, include_str!("scripts/standing.lua")),
            vouch: script(MOVES, include_str!("scripts/vouch.lua")),
        }
    }
}

async fn time_ms(connection: &mut Link) -> Result<i64, StoreError> {
    let (seconds, micros): (i64, i64) =
        redis::cmd("TIME").query_async(connection).await.map_err(StoreError::from_redis)?;
    Ok(seconds * 1000 + micros / 1000)
}

impl Redis {
    /// Connects; fails if Redis is not there. Afterwards it reconnects by itself, to whoever is the master
    /// then.
    pub async fn connect(options: &Options) -> Result<Self, StoreError> {
        // A certificate file that is missing or broken is told by name, not as a server that is away.
        door::certificates(options).map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        let mut connection = Link::open(options.clone()).await.map_err(StoreError::from_redis)?;
        let started_ms = time_ms(&mut connection).await?;
        Ok(Self {
            connection,
            prefix: options.prefix.clone(),
            scripts: std::sync::Arc::new(Scripts::new()),
            marks: Marks::new(started_ms),
        })
    }

    /// What this process knows of the enti's marks; clones share it.
    #[must_use]
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The machine's clock as Redis tells it, Unix milliseconds: what marks are made of. Tests do not move it.
    pub async fn time_ms(&self) -> Result<i64, StoreError> {
        time_ms(&mut self.connection()).await
    }

    /// A handle for commands of one's own; clones share the connection.
    #[must_use]
    pub fn connection(&self) -> Link {
        self.connection.clone()
    }

    /// First part of every key.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The start of every key of an ente.
    pub(super) fn ente(&self, ente: &str) -> String {
        super::keys::ente_prefix(&self.prefix, ente)
    }

    pub(super) async fn run<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        call.invoke_async(&mut connection).await.map_err(StoreError::from_redis)
    }

    /// The connection that is open now and no other, with the run of the server at its end: what a script is told of
    /// the server must be true of the one that runs it.
    pub(super) async fn pinned(&self) -> Result<Pinned, StoreError> {
        self.connection.pinned().await.map_err(StoreError::from_redis)
    }

    /// One command.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, StoreError> {
        command.query_async(&mut self.connection()).await.map_err(StoreError::from_redis)
    }

    /// The store's clock, Unix milliseconds.
    pub async fn now_ms(&self) -> Result<i64, StoreError> {
        let mut call = self.scripts.clock.prepare_invoke();
        call.key(self.ente("-"));
        self.run(&call).await
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        redis::cmd("PING").query_async(&mut connection).await.map_err(StoreError::from_redis)
    }
}
