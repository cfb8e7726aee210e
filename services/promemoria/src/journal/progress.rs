//! How far a reading of the journal is: a bar that is drawn again on a terminal, lines elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use shared::journal::Position;

/// How often a terminal's bar is drawn.
const REDRAW: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(10);
/// Length of the bar, in characters.
const WIDTH: u64 = 30;

/// Tells on standard error how far it is.
pub(super) struct Progress {
    began: Instant,
    told: Instant,
    is_terminal: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { began: now, told: now, is_terminal: std::io::stderr().is_terminal() }
    }

    /// Tells it, if it is time; always at the end.
    pub(super) fn show(&mut self, position: impl FnOnce() -> Position, is_end: bool) {
        let every = if self.is_terminal { REDRAW } else { LINE };
        if !is_end && self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        let text = told(position(), self.began.elapsed(), is_end);
        let mut err = std::io::stderr().lock();
        // `\x1b[K` clears what a longer text left. A terminal that went away is no fault.
        drop(match (self.is_terminal, is_end) {
            (true, false) => write!(err, "\r{text}\x1b[K"),
            (true, true) => writeln!(err, "\r{text}\x1b[K"),
            (false, _) => writeln!(err, "{text}"),
        });
        drop(err.flush());
    }
}

/// `journal [######----] 60 %, 1200 lines, 400 a second, 2 s left`.
fn told(position: Position, elapsed: Duration, is_end: bool) -> String {
    let Position { lines, done, total } = position;
    // In tenths, so that the first second tells something too.
    let tenths = u64::try_from(elapsed.as_millis() / 100).unwrap_or(u64::MAX).max(1);
    let rate = lines * 10 / tenths;
    let share = if is_end || total == 0 { 100 } else { (done * 100 / total).min(100) };
    if total == 0 && !is_end {
        return format!("journal: {lines} lines, {rate} a second");
    }
    let full = share * WIDTH / 100;
    let bar: String = (0..WIDTH).map(|place| if place < full { '#' } else { '-' }).collect();
    let left = match (total.saturating_sub(done) * tenths / 10).checked_div(done) {
        Some(left) if !is_end => format!(", {} left", spoken(left)),
        _ => format!(", in {}", spoken(tenths.div_ceil(10))),
    };
    format!("journal [{bar}] {share:3} %, {lines} lines, {rate} a second{left}")
}

fn spoken(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_far_it_is_and_how_long_it_takes() {
        let at = |lines, done, total, seconds, is_end| {
            told(Position { lines, done, total }, Duration::from_secs(seconds), is_end)
        };
        for (found, wanted) in [
            (at(0, 0, 0, 0, false), "journal: 0 lines, 0 a second"),
            (
                at(5_000, 5_010, 10_020, 5, false),
                "journal [###############---------------]  50 %, 5000 lines, 1000 a second, 5 s left",
            ),
            (
                at(100, 100, 1_000_000, 1, false),
                "journal [------------------------------]   0 %, 100 lines, 100 a second, 2 h 46 min left",
            ),
            (
                at(900, 903, 904, 90, true),
                "journal [##############################] 100 %, 900 lines, 10 a second, in 1 min 30 s",
            ),
        ] {
            assert_eq!(found, wanted);
        }
    }
}
