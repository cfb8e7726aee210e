//! The journal: what was taken, what was about to be sent and what came of it, as lines of three streams.
//!
//! Redis may lose everything; from the journal it is rebuilt. `record` is a line as it travels and as an
//! archive keeps it, `line` what it says. `reading` gives all lines in the order of their instants.
//! `replay` plans the events again as of the instants at which they were taken and puts back what became
//! of their messages (`recall`), into Redis or into memory. `compare` holds two books against each other.

mod compare;
mod line;
mod reading;
mod recall;
mod record;
mod replay;

pub use compare::{Comparison, Difference, Kind, Tally, compare};
pub use line::{Entry, Line};
pub use reading::{ReadError, Reading, barrier};
pub use record::{Intent, Record, Strand, event_line, intent_line};
pub use replay::{Counts, Replay, ReplayError};
