//! Following the journal: events and outcomes as they come, from a place, without an end.

use std::time::{Duration, Instant};

use super::line::Line;
use super::record::{Record, Strand};
use crate::broker::rabbitmq::{Library, Place, StreamReader};
use crate::broker::{BrokerError, Options};
use crate::store::register::Places;

/// How long a stream is silent when all that was in it is read.
const QUIET: Duration = Duration::from_millis(250);
/// A mark that was confirmed is read within this time.
const PATIENCE: Duration = Duration::from_secs(30);
/// The last lines of a stream are looked for no longer.
const LOOK: Duration = Duration::from_secs(10);
/// The strands that are followed, in the order of [`Places`].
const STRANDS: [Strand; 2] = [Strand::Events, Strand::Outcomes];

/// A reading that goes on.
pub struct Following {
    library: Library,
    readers: Vec<StreamReader>,
    places: Places,
}

/// How far a strand is read.
#[derive(Debug, Clone, Copy)]
pub enum Until<'a> {
    /// Up to a line of this instant, Unix milliseconds, or until nothing comes.
    Now(i64),
    /// Up to the mark of this name, which [`super::barrier`] wrote.
    Mark(&'a str),
}

/// How far each strand goes, up to `places`: where its next line will be, if that is before. A stream that ends
/// before the place up to which it was read was made anew, or lost its end; the broker says nothing of it, and
/// passes over every line until that place.
pub async fn reach(options: &Options, places: Places) -> Result<Places, BrokerError> {
    let library = Library::open(options).await?;
    let mut reached = places;
    for (index, strand) in STRANDS.into_iter().enumerate().filter(|(index, _)| places[*index] > 0) {
        let mut reader = library.read(strand.stream(), Place::Last).await?;
        let (mut end, since) = (0, Instant::now());
        while end < places[index] && since.elapsed() < LOOK {
            let wait = if end == 0 { LOOK } else { QUIET };
            let Some(delivery) = reader.next_within(wait).await? else { break };
            end = delivery.offset().map_or(end, |offset| offset + 1);
        }
        reached[index] = reached[index].min(end);
    }
    library.close().await;
    Ok(reached)
}

/// Lines of one strand.
pub struct Batch {
    /// Each with its offset.
    pub lines: Vec<(u64, Line)>,
    /// It was read as far as was asked.
    pub is_end: bool,
}

impl Following {
    /// How many strands there are.
    pub const STRANDS: usize = STRANDS.len();

    /// Begins at these offsets, or with the oldest lines kept after them.
    pub async fn open(options: &Options, from: Places) -> Result<Self, BrokerError> {
        let library = Library::open(options).await?;
        let mut readers = Vec::with_capacity(STRANDS.len());
        for (index, strand) in STRANDS.into_iter().enumerate() {
            // Offset 0 may be gone, and then only `first` is sure to begin with what is left.
            let place = if from[index] == 0 { Place::First } else { Place::From(from[index]) };
            readers.push(library.read(strand.stream(), place).await?);
        }
        Ok(Self { library, readers, places: from })
    }

    /// Where it goes on.
    #[must_use]
    pub fn places(&self) -> Places {
        self.places
    }

    /// Reads at most `most` lines of a strand, by its place among [`Places`].
    pub async fn some(&mut self, strand: usize, most: usize, until: Until<'_>) -> Result<Batch, BrokerError> {
        let wait = if matches!(until, Until::Now(_)) { QUIET } else { PATIENCE };
        let mut lines = Vec::new();
        while lines.len() < most {
            let Some(delivery) = self.readers[strand].next_within(wait).await? else {
                return match until {
                    Until::Now(_) => Ok(Batch { lines, is_end: true }),
                    Until::Mark(_) => {
                        Err(BrokerError::Silent { stream: STRANDS[strand].stream().to_owned(), waited: wait })
                    }
                };
            };
            let offset = delivery.offset().unwrap_or(self.places[strand]);
            self.places[strand] = offset + 1;
            let Some(record) = Record::of(STRANDS[strand], &delivery) else { continue };
            if let Until::Mark(name) = until
                && record.is_end(name)
            {
                return Ok(Batch { lines, is_end: true });
            }
            let line = if record.is_mark() { None } else { Line::parse(record) };
            let Some(line) = line else { continue };
            let is_new = matches!(until, Until::Now(now_ms) if line.at_ms >= now_ms);
            lines.push((offset, line));
            if is_new {
                return Ok(Batch { lines, is_end: true });
            }
        }
        Ok(Batch { lines, is_end: false })
    }

    /// Ends it.
    pub async fn close(self) {
        self.library.close().await;
    }
}
