//! How a process stops: first it takes no new work, then it waits for the work in hand.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

/// A token that the first SIGTERM or SIGINT cancels. Called once, within the runtime.
///
/// # Errors
///
/// The operating system refuses the handlers.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "stop asked");
        stop.cancel();
    });
    Ok(token)
}

/// Waits for the tasks of a tracker, at most `grace`. Returns how many were left unfinished.
pub async fn drain(tracker: &TaskTracker, grace: Duration) -> usize {
    tracker.close();
    if tokio::time::timeout(grace, tracker.wait()).await.is_ok() {
        return 0;
    }
    let left = tracker.len();
    warn!(left, "grace elapsed before the work in hand was done");
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_in_hand_is_waited_for() {
        let tracker = TaskTracker::new();
        let (done, wait) = tokio::sync::oneshot::channel::<()>();
        tracker.spawn(wait);
        tokio::spawn(async move { done.send(()) });
        assert_eq!(drain(&tracker, Duration::from_mins(1)).await, 0);
    }

    #[tokio::test]
    async fn what_outlasts_the_grace_is_counted() {
        let tracker = TaskTracker::new();
        tracker.spawn(std::future::pending::<()>());
        assert_eq!(drain(&tracker, Duration::from_millis(1)).await, 1);
    }

    #[tokio::test]
    async fn sigterm_cancels_the_token() {
        let token = on_signal().unwrap();
        let pid = std::process::id().to_string();
        let status = tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
        assert!(status.success());
        tokio::time::timeout(Duration::from_secs(30), token.cancelled()).await.unwrap();
    }
}
