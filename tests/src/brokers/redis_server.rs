//! A private Redis from this machine's programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::launch::{Launch, LocalServer, find_program};
use super::watchdog::Watchdog;

/// Databases of one server. A test takes one for itself; Redis's default of 16 would be few.
pub(super) const DATABASES: u16 = 64;

/// What production runs with, and the container images too: no snapshots, an append-only file synced every
/// second, and no eviction: a full memory refuses writes and loses nothing.
pub(super) fn arguments() -> Vec<String> {
    let databases = DATABASES.to_string();
    let pairs = [
        ("--save", ""),
        ("--appendonly", "yes"),
        ("--appendfsync", "everysec"),
        ("--maxmemory-policy", "noeviction"),
        ("--databases", &databases),
    ];
    pairs.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect()
}

/// Redis or Valkey, which is Redis under a free licence and answers to the same clients.
pub(super) fn find() -> Option<PathBuf> {
    find_program("redis-server", &[]).or_else(|| find_program("valkey-server", &[]))
}

/// Starts the server on `127.0.0.1:port` with its data in `folder`.
pub(super) fn start(
    program: PathBuf,
    folder: &Path,
    port: u16,
    watchdog: &Arc<Watchdog>,
) -> anyhow::Result<LocalServer> {
    fs::create_dir_all(folder)?;
    let mut arguments = arguments();
    for (name, value) in [
        ("--bind", "127.0.0.1".to_owned()),
        ("--port", port.to_string()),
        ("--dir", folder.display().to_string()),
        // As root too: with no pid file and no daemon, nothing is written outside the folder.
        ("--daemonize", "no".to_owned()),
    ] {
        arguments.extend([name.to_owned(), value]);
    }
    let launch = Launch {
        within: Vec::new(),
        program,
        arguments,
        environment: Vec::new(),
        log: folder.join("server.log"),
    };
    LocalServer::start_new(launch, watchdog)
}
