//! `journal export`: the whole journal as lines of JSON, to be kept elsewhere.

use std::io::{BufWriter, Write as _};

use serde_json::json;

use super::archive;
use super::source::Source;
use crate::cli::JournalExport;
use crate::report::{Failure, Report};
use crate::setup::Setup;

/// Writes the archive, safe on disk when it ends. It holds personal data: only its owner may read it. Where the
/// archive goes to standard output nothing else does: the progress on standard error tells how many lines.
pub(crate) async fn run(setup: &Setup, arguments: &JournalExport, as_json: bool) -> Result<Report, Failure> {
    let path = &arguments.file;
    let is_stream = archive::is_stream(path);
    if is_stream && as_json {
        return Err(Failure::Usage("--json: goes to standard output, where the archive goes".to_owned()));
    }
    let failed = |error: std::io::Error| Failure::fault(format!("FILE: {}: {error}", path.display()));
    let mut source = Source::open(setup, None).await?;
    let mut writer = BufWriter::new(archive::create(path).map_err(failed)?);
    let mut lines = 0u64;
    while let Some(line) = source.next().await? {
        serde_json::to_writer(&mut writer, &line.record).map_err(|error| failed(error.into()))?;
        writer.write_all(b"\n").map_err(failed)?;
        lines += 1;
    }
    source.close().await;
    let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
    if is_stream {
        return Ok(Report::good("", json!({})));
    }
    file.sync_all().map_err(failed)?;
    Ok(Report::good(format!("{lines} lines\n"), json!({ "lines": lines })))
}
