//! The sandbox as a process of its own, without a rate limit.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Ground;
use crate::bench::process::Worker;

/// Keys of the two services.
pub(super) const KEYS: [&str; 2] = ["bench-alloggi", "bench-permesso"];
/// The IO account of both.
pub(super) const ACCOUNT: &str = "bench";
/// Messages in one page; the sandbox's most.
const PAGE: usize = 10_000;

/// A running sandbox.
pub(in crate::bench) struct Sandbox {
    pub(in crate::bench) worker: Worker,
    address: String,
    client: reqwest::Client,
}

/// What it counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(in crate::bench) struct Counts {
    received: u64,
    stored: u64,
    /// Different ones.
    pub(in crate::bench) unique: u64,
    duplicates: u64,
}

/// How the one account was called.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(in crate::bench) struct Called {
    pub(in crate::bench) calls: u64,
    /// Most in any 5 s.
    pub(in crate::bench) busiest: u64,
    /// Milliseconds from first to last.
    pub(in crate::bench) span_ms: u64,
}

/// When a message came, and its text.
#[derive(Debug, Deserialize)]
pub(in crate::bench) struct Received {
    sequence: u64,
    /// To the millisecond.
    #[serde(rename = "received_at")]
    pub(in crate::bench) at: DateTime<Utc>,
    /// As IO would store it.
    pub(in crate::bench) content: Content,
}

/// The part of a message's content that tells its number.
#[derive(Debug, Deserialize)]
pub(in crate::bench) struct Content {
    /// Front matter and text.
    pub(in crate::bench) markdown: String,
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<Received>,
    next: Option<u64>,
}

impl Sandbox {
    /// Starts one that holds `keep` messages.
    pub(in crate::bench) async fn start(ground: &Ground, keep: u64) -> anyhow::Result<Self> {
        let servizi = KEYS.map(|key| {
            format!("[[sandbox.servizi]]\nchiave = \"{key}\"\naccount = \"{ACCOUNT}\"\ncalls_per_5s = 0\n")
        });
        let text = format!("[sandbox]\nbind = \"127.0.0.1:0\"\nkeep = {keep}\n{}", servizi.concat());
        let file = ground.folder().join("sandbox.toml");
        fs::write(&file, text)?;
        let mut command = ground.program("sandbox");
        command.arg("--config").arg(&file).env("RUST_LOG", "warn");
        let mut worker = Worker::start("sandbox", command, ground.folder())?;
        let address = worker.hear("sandbox listening on ", Duration::from_secs(10)).await?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { worker, address, client })
    }

    /// Base address of the IO API.
    pub(in crate::bench) fn api(&self) -> String {
        format!("{}/api/v1", self.address)
    }

    /// What came so far.
    pub(in crate::bench) async fn counts(&self) -> anyhow::Result<Counts> {
        self.get("/sandbox/count").await
    }

    /// When calls came.
    pub(in crate::bench) async fn calls(&self) -> anyhow::Result<Called> {
        let accounts: BTreeMap<String, Called> = self.get("/sandbox/calls").await?;
        accounts.get(ACCOUNT).copied().context("no call came to the sandbox")
    }

    /// Fails unless exactly `n` messages came, each once.
    pub(in crate::bench) async fn ensure_exactly(&self, n: u64) -> anyhow::Result<()> {
        let counts = self.counts().await?;
        let expected = Counts { received: n, stored: n, unique: n, duplicates: 0 };
        anyhow::ensure!(
            counts == expected,
            "not every message came exactly once: {counts:?}, not {expected:?}"
        );
        Ok(())
    }

    /// Every message that it holds.
    pub(in crate::bench) async fn messages(&self) -> anyhow::Result<Vec<Received>> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page: Page = self.get(&format!("/sandbox/messages?limit={PAGE}&after={after}")).await?;
            let last = page.messages.last().map_or(after, |message| message.sequence);
            all.extend(page.messages);
            if page.next.is_none() {
                return Ok(all);
            }
            after = last;
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let answer = self.client.get(format!("{}{path}", self.address)).send().await;
        let bytes =
            answer.and_then(reqwest::Response::error_for_status).context("the sandbox")?.bytes().await?;
        serde_json::from_slice(&bytes).with_context(|| format!("the sandbox answers otherwise to {path}"))
    }
}
