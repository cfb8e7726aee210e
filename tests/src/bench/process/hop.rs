//! The other end of [`super::Worker`]: how a process of the benchmark speaks to the one that started it.

use std::future::Future;
use std::io::{Read as _, Write as _, stdin};
use std::thread;

use anyhow::Context as _;
use tokio::sync::oneshot;

/// Said on standard output once the process can be told to go, or does its work.
pub(in crate::bench) const READY: &str = "ready";

/// Says that it is ready.
pub(in crate::bench) fn ready() -> anyhow::Result<()> {
    say(READY)
}

/// Says a line.
pub(in crate::bench) fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

/// Waits for a line.
pub(in crate::bench) async fn told_to_go() -> anyhow::Result<()> {
    let read = aside(|| {
        let mut line = String::new();
        stdin().read_line(&mut line)
    })
    .await?;
    anyhow::ensure!(read > 0, "the benchmark went away");
    Ok(())
}

/// Works until the work fails or the benchmark goes away, which ends standard input.
pub(in crate::bench) async fn while_wanted(
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        done = work => done,
        end = aside(|| stdin().read_to_end(&mut Vec::new())) => end.map(drop),
    }
}

/// On a thread of its own, which nobody waits for: a read of standard input cannot be taken back.
async fn aside(read: impl FnOnce() -> std::io::Result<usize> + Send + 'static) -> anyhow::Result<usize> {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || drop(sender.send(read())));
    Ok(receiver.await.context("standard input was not read")??)
}
