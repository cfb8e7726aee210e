//! Reading the journal: from the streams up to a mark, or from an archive; in the order of the instants.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::BufRead;
use std::time::Duration;

use chrono::DateTime;

use super::line::Line;
use super::record::{Record, Strand, end_line};
use crate::broker::rabbitmq::{Library, Place, StreamReader};
use crate::broker::{BrokerError, Options, Publisher};
use crate::formats::Foreign;

/// Lines of each stream that are put in order before the first is given out. Lines of one instant may be
/// written seconds apart, when a publish waits for its confirm; at the highest rate of a fleet this is
/// some seconds of lines.
const WINDOW: usize = 10_000;

/// Why reading failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The broker is away, or has no such streams.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A later release wrote a line: let it read them.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// The archive cannot be read.
    #[error("the archive cannot be read")]
    File(#[from] std::io::Error),
    /// A line of the archive is none.
    #[error("line {line} of the archive is none of a journal's")]
    Archive {
        /// Its number, from 1.
        line: usize,
    },
}

/// A line that was confirmed later than this after its script ran may stand behind the end up to which a rebuild has
/// read meanwhile. So whoever wrote it late takes its event again, asks the fence again, or records the end again that it
/// told, which has no effect where nothing was lost; and a rebuild rests as long before it marks the end.
pub const LINE_IN_TIME: Duration = Duration::from_secs(1);

/// Marks the present end of the three streams; returns the name of the mark. Everything that was confirmed
/// before stands before it.
pub async fn barrier(publisher: &impl Publisher) -> Result<String, BrokerError> {
    let name = format!("{:032x}", rand::random::<u128>());
    let marks = Strand::ALL.map(|strand| end_line(strand, &name));
    for confirmed in publisher.publish_all(marks.to_vec()).await {
        confirmed?;
    }
    Ok(name)
}

/// How far a reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Lines given out.
    pub lines: u64,
    /// What was passed: lines of the streams, or bytes of an archive.
    pub done: u64,
    /// What there was when it began, in the same unit; 0 while nobody knows.
    pub total: u64,
}

/// A journal being read.
pub struct Reading {
    source: Source,
    lines: u64,
}

enum Source {
    Streams(Box<Streams>),
    Archive { file: Box<dyn BufRead + Send>, line: usize, done: u64, total: u64 },
}

struct Streams {
    library: Library,
    end: String,
    strands: Vec<One>,
    /// Lines read so far: the order of lines of one instant.
    number: u64,
}

struct One {
    strand: Strand,
    /// Offset of the first line that was read, of the last, and where the stream ended when it began.
    first: Option<u64>,
    at: u64,
    last: u64,
    /// None once its end was read.
    reader: Option<StreamReader>,
    ahead: BinaryHeap<Reverse<Waiting>>,
}

/// A line that waits for its turn.
struct Waiting {
    place: (i64, Strand, u64),
    line: Line,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

impl Reading {
    /// Reads the streams up to the mark `end`: from the beginning, or from what was written about `since_ms`,
    /// Unix milliseconds.
    pub async fn streams(options: &Options, since_ms: Option<i64>, end: String) -> Result<Self, ReadError> {
        let library = Library::open(options).await?;
        let since = since_ms.and_then(DateTime::from_timestamp_millis);
        let place = since.map_or(Place::First, Place::Since);
        let mut strands = Vec::new();
        for strand in Strand::ALL {
            // The end marks are in the last chunk of each stream, or were before somebody wrote on.
            let last = library.read(strand.stream(), Place::Last).await?.next().await?.offset().unwrap_or(0);
            let reader = Some(library.read(strand.stream(), place).await?);
            strands.push(One { strand, first: None, at: 0, last, reader, ahead: BinaryHeap::new() });
        }
        let streams = Streams { library, end, strands, number: 0 };
        Ok(Self { source: Source::Streams(Box::new(streams)), lines: 0 })
    }

    /// Reads an archive of so many bytes, as `promemoria journal export` writes it.
    #[must_use]
    pub fn archive(file: impl BufRead + Send + 'static, bytes: u64) -> Self {
        let file = Box::new(file);
        Self { source: Source::Archive { file, line: 0, done: 0, total: bytes }, lines: 0 }
    }

    /// The next line; none at the end.
    pub async fn next(&mut self) -> Result<Option<Line>, ReadError> {
        let next = match &mut self.source {
            Source::Streams(streams) => streams.next().await?,
            Source::Archive { file, line, done, .. } => next_of_archive(file, (line, done))?,
        };
        self.lines += u64::from(next.is_some());
        Ok(next)
    }

    /// How far it is.
    #[must_use]
    pub fn position(&self) -> Position {
        let (done, total) = match &self.source {
            Source::Archive { done, total, .. } => (*done, *total),
            Source::Streams(streams) => streams
                .strands
                .iter()
                .map(One::passed)
                .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1)),
        };
        Position { lines: self.lines, done, total }
    }

    /// Ends it.
    pub async fn close(self) {
        if let Source::Streams(streams) = self.source {
            streams.library.close().await;
        }
    }
}

impl Streams {
    async fn next(&mut self) -> Result<Option<Line>, ReadError> {
        let mut first: Option<(usize, (i64, Strand, u64))> = None;
        for (index, one) in self.strands.iter_mut().enumerate() {
            one.fill(&self.end, &mut self.number).await?;
            let Some(Reverse(waiting)) = one.ahead.peek() else { continue };
            if first.is_none_or(|(_, place)| waiting.place < place) {
                first = Some((index, waiting.place));
            }
        }
        let next = first.and_then(|(index, _)| self.strands[index].ahead.pop());
        Ok(next.map(|Reverse(waiting)| waiting.line))
    }
}

impl One {
    /// Lines given out or passed over, and those that there were.
    fn passed(&self) -> (u64, u64) {
        let Some(first) = self.first else { return (0, 0) };
        let ahead = u64::try_from(self.ahead.len()).unwrap_or(u64::MAX);
        let end = if self.reader.is_none() { self.at } else { self.last.max(self.at) };
        ((self.at - first + 1).saturating_sub(ahead), end - first + 1)
    }

    async fn fill(&mut self, end: &str, number: &mut u64) -> Result<(), ReadError> {
        while self.ahead.len() < WINDOW {
            let Some(reader) = &mut self.reader else { return Ok(()) };
            let delivery = reader.next().await?;
            self.at = delivery.offset().unwrap_or(self.at);
            self.first.get_or_insert(self.at);
            let Some(record) = Record::of(self.strand, &delivery) else { continue };
            if record.is_end(end) {
                self.reader = None;
                continue;
            }
            if record.is_mark() {
                continue;
            }
            record.check()?;
            if let Some(line) = Line::parse(record) {
                *number += 1;
                self.ahead.push(Reverse(Waiting { place: (line.at_ms, self.strand, *number), line }));
            }
        }
        Ok(())
    }
}

fn next_of_archive(
    file: &mut impl BufRead,
    (line, done): (&mut usize, &mut u64),
) -> Result<Option<Line>, ReadError> {
    loop {
        let mut text = String::new();
        if file.read_line(&mut text)? == 0 {
            return Ok(None);
        }
        *line += 1;
        *done += u64::try_from(text.len()).unwrap_or(0);
        if text.trim().is_empty() {
            continue;
        }
        let record: Record = serde_json::from_str(&text).map_err(|_| ReadError::Archive { line: *line })?;
        record.check()?;
        return Line::parse(record).map(Some).ok_or(ReadError::Archive { line: *line });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::TraceContext;

    #[tokio::test]
    async fn an_archive_gives_back_what_was_written() {
        let record = Record {
            strand: Strand::Events,
            key: "borgochiaro.permesso.rinnovato".to_owned(),
            taken_ms: Some(5),
            traceparent: TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            body: "{\"a\":\"è\\n\"}".to_owned(),
        };
        let text = serde_json::to_string(&record).unwrap();
        let text = format!("{text}\n\n{text}\n");
        let bytes = u64::try_from(text.len()).unwrap();
        let mut reading = Reading::archive(std::io::Cursor::new(text), bytes);
        for _ in 0..2 {
            assert_eq!(reading.next().await.unwrap().unwrap().record, record);
        }
        assert!(reading.next().await.unwrap().is_none());
        assert_eq!(reading.position(), Position { lines: 2, done: bytes, total: bytes });
    }

    #[tokio::test]
    async fn a_line_of_a_later_release_stops_the_reading() {
        let body = r#"{"v":2,"altro":true}"#.to_owned();
        let record = Record {
            strand: Strand::Intents,
            key: "borgochiaro".to_owned(),
            taken_ms: None,
            traceparent: None,
            body,
        };
        let text = serde_json::to_string(&record).unwrap();
        let mut reading = Reading::archive(std::io::Cursor::new(text), 0);
        let Err(ReadError::Foreign(foreign)) = reading.next().await else { panic!("it goes on") };
        assert_eq!(foreign.to_string(), "intent format 2: this build reads 0 to 1");
    }

    #[tokio::test]
    async fn a_line_that_is_none_is_named_by_its_number() {
        let mut reading = Reading::archive(std::io::Cursor::new("\n{}\n"), 4);
        assert!(matches!(reading.next().await, Err(ReadError::Archive { line: 2 })));
    }
}
