//! Follows the folder of the enti on disk, and SIGHUP.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use prometheus::IntCounter;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Live;

/// Quiet time after the last change before the folder is read: an editor or a `ConfigMap` makes several.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// The folder's watcher, and the folders of keys and texts it follows beside it.
struct Eyes {
    watcher: Option<RecommendedWatcher>,
    beside: BTreeSet<PathBuf>,
}

impl Live {
    /// Reads the enti again on SIGHUP and when their folder, or a folder of the keys and texts they
    /// name, changes on disk; ends when `stop` is cancelled. `errors` is
    /// `promemoria_config_reload_errors_total`.
    ///
    /// # Errors
    ///
    /// The operating system refuses the signal handler. A folder that cannot be watched is a log line:
    /// SIGHUP still works.
    pub async fn follow(self: Arc<Self>, errors: IntCounter, stop: CancellationToken) -> std::io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let (tell, mut changes) = mpsc::channel(1);
        let mut eyes = Eyes::open(&self, tell);
        loop {
            // The first turn takes what changed before the watch stood.
            self.reload_counted(&errors).await;
            eyes.look_beside(&self);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = hangup.recv() => info!("reload asked"),
                Some(()) = changes.recv() => settle(&mut changes).await,
            }
        }
    }

    /// Files are read on a blocking thread: a slow disk must not hold the loops.
    async fn reload_counted(self: &Arc<Self>, errors: &IntCounter) {
        let live = Arc::clone(self);
        let faulty = tokio::task::spawn_blocking(move || !live.reload().is_empty()).await;
        if faulty.unwrap_or(true) {
            errors.inc();
        }
    }
}

/// Waits until nothing changed for a while.
async fn settle(changes: &mut mpsc::Receiver<()>) {
    while let Ok(Some(())) = tokio::time::timeout(DEBOUNCE, changes.recv()).await {}
}

impl Eyes {
    /// A full channel already says that something changed, so what does not fit is dropped.
    fn open(live: &Live, tell: mpsc::Sender<()>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_change(event.kind)) {
                let _full: Result<(), _> = tell.try_send(());
            }
        })
        .and_then(|mut watcher| watcher.watch(&live.folder, RecursiveMode::Recursive).map(|()| watcher));
        if let Err(error) = &watcher {
            warn!(reason = ?error.kind, "the folder of the enti is not watched, only SIGHUP reloads");
        }
        Self { watcher: watcher.ok(), beside: BTreeSet::new() }
    }

    /// Follows the folders of keys and texts that lie elsewhere, and those only.
    fn look_beside(&mut self, live: &Live) {
        let Some(watcher) = &mut self.watcher else { return };
        let registry = live.current();
        for folder in registry.folders().filter(|folder| !folder.starts_with(&live.folder)) {
            if !self.beside.contains(folder) && watcher.watch(folder, RecursiveMode::NonRecursive).is_ok() {
                self.beside.insert(folder.to_owned());
            }
        }
    }
}

/// Whether an event tells of new content: our own reading opens files too.
fn is_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}
