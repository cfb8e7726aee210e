//! How far a message has come, as the store writes it (`scripts/prelude.lua`).

use crate::domain::case::Progress;

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

    /// The progress of a message in doubt that is to be sent again.
    pub(super) fn sent_again(&self) -> String {
        format!("A|{}|{}|r", self.emissions(), self.failures())
    }

    /// Times its outcome was unknown.
    #[must_use]
    pub fn doubts(&self) -> u32 {
        u32::from(self.is_in_doubt() || (self.part(0) != Some("F") && self.part(3) == Some("r")))
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
    fn the_end_tells_when_and_how() {
        let over = RawProgress("F|inviato|STANDARD|01ABC|1700000000000".to_owned());
        assert_eq!(over.ended(), Some("inviato"));
        assert_eq!(over.detail(1), Some("01ABC"));
        assert_eq!(over.ended_ms(), Some(1_700_000_000_000));
        assert_eq!(RawProgress("I|1|0||0a1b".to_owned()).ended(), None);
    }
}
