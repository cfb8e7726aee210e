//! How far a message has come, as the store writes it (`scripts/prelude.lua`).

use crate::domain::case::Progress;
use crate::domain::message_state::{Count, End, State};

/// One value of the hash `s:<case>`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawProgress(pub String);

impl RawProgress {
    fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('|')
    }

    fn part(&self, place: usize) -> Option<&str> {
        self.parts().nth(place)
    }

    /// What planning has to know of it.
    #[must_use]
    pub fn progress(&self) -> Progress {
        match (self.part(0), self.part(1), self.part(2)) {
            (Some("I" | "D"), _, _) => Progress::Leaving,
            (Some("F"), Some("inviato" | "consegnato" | "rifiutato"), Some("STANDARD")) => {
                Progress::SentStandard
            }
            (Some("F"), Some("inviato" | "consegnato" | "rifiutato"), Some("ADVANCED")) => {
                Progress::SentAdvanced
            }
            (Some("F"), _, _) => Progress::Over,
            _ => Progress::Pending,
        }
    }

    /// Whether its outcome is unknown.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.part(0) == Some("D")
    }

    /// Whether it is somewhere between scheduler and fence.
    #[must_use]
    pub fn is_emitted(&self) -> bool {
        self.part(0) == Some("E")
    }

    /// Whether the request may leave at any moment.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.part(0) == Some("I")
    }

    /// Where it ended, if it is over: `inviato`, `scartato`, ….
    #[must_use]
    pub fn ended(&self) -> Option<&str> {
        (self.part(0)? == "F").then(|| self.part(1)).flatten()
    }

    /// What `F|what|` is followed by, without the instant.
    #[must_use]
    pub fn detail(&self, place: usize) -> Option<&str> {
        self.part(2 + place)
    }

    /// When it ended, Unix milliseconds.
    #[must_use]
    pub fn ended_ms(&self) -> Option<i64> {
        self.ended()?;
        self.parts().last()?.parse().ok()
    }

    /// Why it is in doubt, if it is.
    #[must_use]
    pub fn doubt(&self) -> Option<&str> {
        self.is_in_doubt().then(|| self.part(3)).flatten()
    }

    /// Times it was emitted.
    #[must_use]
    pub fn emissions(&self) -> u32 {
        self.part(1).filter(|_| self.ended().is_none()).and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    /// Back in the schedule, as `commit.lua` puts it there.
    pub(super) fn put_back(&mut self) {
        if !self.0.is_empty() {
            let (again, called) = match (self.doubts_before() > 0, self.has_called()) {
                (true, true) => ("|r", "|c"),
                (true, false) => ("|r", ""),
                (false, true) => ("|", "|c"),
                (false, false) => ("", ""),
            };
            self.0 = format!("A|{}|{}{again}{called}", self.emissions(), self.failures());
        }
    }

    /// The progress of a message in doubt that is to be sent again.
    pub(super) fn sent_again(&self) -> String {
        format!("A|{}|{}|r", self.emissions(), self.failures())
    }

    /// Times its outcome was unknown before this emission.
    #[must_use]
    pub fn doubts_before(&self) -> u32 {
        let again = match self.part(0) {
            Some("F") => None,
            Some("D") => self.part(5),
            _ => self.part(3),
        };
        u32::from(again == Some("r"))
    }

    /// Its last emission made a call of IO that failed.
    #[must_use]
    pub fn has_called(&self) -> bool {
        matches!(self.part(0), Some("A" | "E")) && self.part(4) == Some("c")
    }

    /// It is in doubt, and to be given up when it is due.
    #[must_use]
    pub fn gives_up(&self) -> bool {
        self.is_in_doubt() && self.part(6) == Some("x")
    }

    /// The same doubt, without a deadline.
    pub(super) fn held(&self) -> String {
        self.0.strip_suffix("|x").map_or_else(|| self.0.clone(), |doubt| format!("{doubt}|"))
    }

    /// The emission that may have been sent, of a message that is only assumed to be.
    #[must_use]
    pub fn assumed(&self) -> Option<u32> {
        let assumed = self.ended() == Some("inviato") && self.parts().count() == 6;
        assumed.then(|| self.part(4)?.parse().ok()).flatten()
    }

    /// The state in full; `None` if the text is none.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        let text = |place| self.part(place).unwrap_or("").to_owned();
        let count = Count {
            emission: self.emissions(),
            failures: self.failures(),
            again: self.doubts_before() > 0,
            called: self.has_called(),
        };
        Some(match self.part(0)? {
            "" | "A" => State::Armed(count),
            "E" => State::Emitted(count),
            "I" => State::Leaving(count, text(4)),
            "D" => State::Doubt { count, why: text(3), gives_up: self.gives_up() },
            "F" => State::Over(self.end()?),
            _ => return None,
        })
    }

    fn end(&self) -> Option<End> {
        let detail = |place| self.detail(place).unwrap_or("").to_owned();
        let what = self.ended()?;
        Some(match (what, self.assumed()) {
            ("inviato", Some(emission)) => End::Assumed { level: detail(0), emission },
            ("inviato" | "consegnato" | "rifiutato", _) => End::Sent { level: detail(0), io_id: detail(1) },
            _ => {
                let text = self.0.strip_prefix("F|")?;
                End::NotSent(text.rsplit_once('|').map_or(text, |(what, _)| what).to_owned())
            }
        })
    }

    /// Times it failed and was tried again.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.part(2).and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_says_what_planning_has_to_know() {
        let cases = [
            ("", Progress::Pending),
            ("A|1|0", Progress::Pending),
            ("E|2|1", Progress::Pending),
            ("I|2|1|r|0a1b", Progress::Leaving),
            ("D|2|1|timeout|1700000000000", Progress::Leaving),
            ("F|inviato|STANDARD|01ABC|1700000000000", Progress::SentStandard),
            ("F|consegnato|ADVANCED|01ABC|1700000000000", Progress::SentAdvanced),
            ("F|scartato|annullato|1700000000000", Progress::Over),
            ("F|annullato|1700000000000", Progress::Over),
        ];
        for (text, wanted) in cases {
            assert_eq!(RawProgress(text.to_owned()).progress(), wanted, "{text}");
        }
    }

    #[test]
    fn a_doubt_tells_why_and_how_it_goes_again() {
        let doubt = RawProgress("D|2|1|timeout|1700000000000".to_owned());
        assert_eq!((doubt.doubt(), doubt.emissions(), doubt.failures()), (Some("timeout"), 2, 1));
        assert_eq!(doubt.sent_again(), "A|2|1|r");
        assert_eq!(RawProgress("E|2|1".to_owned()).doubt(), None);
    }

    #[test]
    fn each_form_is_a_state() {
        let count = |emission, failures, again| Count { emission, failures, again, called: false };
        let doubt =
            |again, gives_up| State::Doubt { count: count(2, 1, again), why: "reset".to_owned(), gives_up };
        let not_sent = |what: &str| State::Over(End::NotSent(what.to_owned()));
        let level = "STANDARD".to_owned();
        let rows = [
            ("", State::Armed(Count::default())),
            ("A|2|1|r", State::Armed(count(2, 1, true))),
            ("E|2|1", State::Emitted(count(2, 1, false))),
            ("E|2|1||c", State::Emitted(Count { called: true, ..count(2, 1, false) })),
            ("A|2|1|r|c", State::Armed(Count { called: true, ..count(2, 1, true) })),
            ("I|2|1||0a", State::Leaving(count(2, 1, false), "0a".to_owned())),
            ("D|2|1|reset|17", doubt(false, false)),
            ("D|2|1|reset|17|r|", doubt(true, false)),
            ("D|2|1|reset|17||x", doubt(false, true)),
            ("F|inviato|STANDARD||2|17", State::Over(End::Assumed { level: level.clone(), emission: 2 })),
            ("F|consegnato|STANDARD|01A|17", State::Over(End::Sent { level, io_id: "01A".to_owned() })),
            ("F|annullato|17", not_sent("annullato")),
            ("F|fallito|in-doubt-expired|17", not_sent("fallito|in-doubt-expired")),
        ];
        for (text, state) in rows {
            assert_eq!(RawProgress(text.to_owned()).state(), Some(state), "{text}");
        }
        assert_eq!(RawProgress("?|1".to_owned()).state(), None);
    }

    #[test]
    fn the_end_tells_when_and_how() {
        let over = RawProgress("F|inviato|STANDARD|01ABC|1700000000000".to_owned());
        assert_eq!(over.ended(), Some("inviato"));
        assert_eq!(over.detail(1), Some("01ABC"));
        assert_eq!(over.ended_ms(), Some(1_700_000_000_000));
        assert_eq!(RawProgress("I|1|0||0a1b".to_owned()).ended(), None);
    }
}
