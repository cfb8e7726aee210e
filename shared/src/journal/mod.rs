//! The journal: what was taken, what was about to be sent and what came of it, as lines of three streams.
//!
//! Redis may lose everything; from the journal it is rebuilt. `record` is a line as it travels and as an
//! archive keeps it, `line` what it says. `reading` gives all lines in the order of their instants.
//! `replay` plans the events again as of the instants at which they were taken and puts back what became
//! of their messages (`recall`), into Redis or into memory, many cases beside each other (`lanes`). `compare` holds two books against each other.
//! `schedule` holds the sets of the schedule against the cases. `following` reads on without an end, for the register of the store; `entering` says what a line enters there
//! and where the ledger disagrees.

mod compare;
mod entering;
#[cfg(test)]
mod exploration;
mod following;
mod lanes;
mod line;
mod reading;
mod recall;
mod record;
mod replay;
mod schedule;

pub use compare::{Comparison, Difference, Kind, Tally, compare};
pub use entering::{Disagreement, WHOLE_CASE, day_of, disagreements, entered, waiting};
pub use following::{Batch, Following, Until, reach};
pub use lanes::Lanes;
pub use line::{Became, Entry, Line, Told};
pub use reading::{LINE_IN_TIME, Position, ReadError, Reading, barrier};
pub use record::{Intent, Record, Strand, event_line, intent_line};
pub use replay::{Counts, Replay, ReplayError};
pub use schedule::{Mended, gaps, mend};
