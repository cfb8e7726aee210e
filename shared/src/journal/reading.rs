//! Reading the journal: from the streams up to a mark, or from an archive; in the order of the instants.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::BufRead;

use chrono::DateTime;

use super::line::Line;
use super::record::{Record, Strand, end_line};
use crate::broker::rabbitmq::{Library, Place, StreamReader};
use crate::broker::{BrokerError, Options, Publisher};

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

/// A journal being read.
pub struct Reading {
    source: Source,
    lines: u64,
}

enum Source {
    Streams(Box<Streams>),
    Archive { file: Box<dyn BufRead + Send>, line: usize },
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
            let reader = library.read(strand.stream(), place).await?;
            strands.push(One { strand, reader: Some(reader), ahead: BinaryHeap::new() });
        }
        let streams = Streams { library, end, strands, number: 0 };
        Ok(Self { source: Source::Streams(Box::new(streams)), lines: 0 })
    }

    /// Reads an archive, as `promemoria journal export` writes it.
    #[must_use]
    pub fn archive(file: impl BufRead + Send + 'static) -> Self {
        Self { source: Source::Archive { file: Box::new(file), line: 0 }, lines: 0 }
    }

    /// The next line; none at the end.
    pub async fn next(&mut self) -> Result<Option<Line>, ReadError> {
        let next = match &mut self.source {
            Source::Streams(streams) => streams.next().await?,
            Source::Archive { file, line } => next_of_archive(file, line)?,
        };
        self.lines += u64::from(next.is_some());
        Ok(next)
    }

    /// Lines given out so far.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
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
    async fn fill(&mut self, end: &str, number: &mut u64) -> Result<(), ReadError> {
        while self.ahead.len() < WINDOW {
            let Some(reader) = &mut self.reader else { return Ok(()) };
            let delivery = reader.next().await?;
            let Some(record) = Record::of(self.strand, &delivery) else { continue };
            if record.is_end(end) {
                self.reader = None;
                continue;
            }
            if record.is_mark() {
                continue;
            }
            if let Some(line) = Line::parse(record) {
                *number += 1;
                self.ahead.push(Reverse(Waiting { place: (line.at_ms, self.strand, *number), line }));
            }
        }
        Ok(())
    }
}

fn next_of_archive(file: &mut impl BufRead, line: &mut usize) -> Result<Option<Line>, ReadError> {
    loop {
        let mut text = String::new();
        if file.read_line(&mut text)? == 0 {
            return Ok(None);
        }
        *line += 1;
        if text.trim().is_empty() {
            continue;
        }
        let record: Record = serde_json::from_str(&text).map_err(|_| ReadError::Archive { line: *line })?;
        return Line::parse(record).map(Some).ok_or(ReadError::Archive { line: *line });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_archive_gives_back_what_was_written() {
        let record = Record {
            strand: Strand::Events,
            key: "borgochiaro.permesso.rinnovato".to_owned(),
            taken_ms: Some(5),
            body: "{\"a\":\"è\\n\"}".to_owned(),
        };
        let text = serde_json::to_string(&record).unwrap();
        let mut reading = Reading::archive(std::io::Cursor::new(format!("{text}\n\n{text}\n")));
        for _ in 0..2 {
            assert_eq!(reading.next().await.unwrap().unwrap().record, record);
        }
        assert!(reading.next().await.unwrap().is_none());
        assert_eq!(reading.lines(), 2);
    }

    #[tokio::test]
    async fn a_line_that_is_none_is_named_by_its_number() {
        let mut reading = Reading::archive(std::io::Cursor::new("\n{}\n"));
        assert!(matches!(reading.next().await, Err(ReadError::Archive { line: 2 })));
    }
}
