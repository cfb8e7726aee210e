//! `journal export`: the whole journal as lines of JSON, to be kept elsewhere.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use serde_json::json;

use super::source::Source;
use crate::cli::JournalExport;
use crate::report::{Failure, Report};
use crate::setup::Setup;

/// Writes the archive, safe on disk when it ends. It holds personal data: only its owner may read it.
pub(crate) async fn run(setup: &Setup, arguments: &JournalExport) -> Result<Report, Failure> {
    let path = &arguments.file;
    let failed = |error: std::io::Error| Failure::fault(format!("FILE: {}: {error}", path.display()));
    let mut source = Source::open(setup, None).await?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let mut archive = BufWriter::new(file);
    let mut lines = 0u64;
    while let Some(line) = source.next().await? {
        serde_json::to_writer(&mut archive, &line.record).map_err(|error| failed(error.into()))?;
        archive.write_all(b"\n").map_err(failed)?;
        lines += 1;
    }
    source.close().await;
    let file = archive.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(Report::good(format!("{lines} lines\n"), json!({ "lines": lines })))
}
