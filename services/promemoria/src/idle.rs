//! `idle`: does nothing until it is asked to stop.
//!
//! The image holds no shell and nothing else that waits, and an operator in Kubernetes needs a pod to run
//! commands in.

use serde_json::json;
use shared::shutdown::on_signal;

use crate::report::{Failure, Report};

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn run() -> Result<Report, Failure> {
    let stop =
        on_signal().map_err(|error| Failure::fault(format!("no signal can be waited for: {error}")))?;
    stop.cancelled().await;
    Ok(Report::good("", json!({})))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::Poll;
    use std::time::Duration;

    #[tokio::test]
    async fn it_waits_until_it_is_asked_to_stop() {
        let mut idle = pin!(run());
        // The first look installs the handlers.
        let first = std::future::poll_fn(|context| Poll::Ready(idle.as_mut().poll(context))).await;
        assert!(first.is_pending());
        let pid = std::process::id().to_string();
        let status = tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
        assert!(status.success());
        let report = tokio::time::timeout(Duration::from_secs(30), idle).await.unwrap().unwrap();
        assert!(!report.found && report.text.is_empty());
    }
}
