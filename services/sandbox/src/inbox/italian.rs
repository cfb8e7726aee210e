//! Dates and amounts as Italian readers expect them, in the time of Europe/Rome.

use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Europe::Rome;

const MONTHS: [&str; 12] = [
    "gennaio",
    "febbraio",
    "marzo",
    "aprile",
    "maggio",
    "giugno",
    "luglio",
    "agosto",
    "settembre",
    "ottobre",
    "novembre",
    "dicembre",
];

/// `12 gennaio 2027`.
pub(super) fn date(instant: DateTime<Utc>) -> String {
    let local = instant.with_timezone(&Rome);
    let month = MONTHS.get(local.month0() as usize).copied().unwrap_or_default();
    format!("{} {month} {}", local.day(), local.year())
}

/// `23:59`.
pub(super) fn time(instant: DateTime<Utc>) -> String {
    instant.with_timezone(&Rome).format("%H:%M").to_string()
}

/// For a list: the time today, `12 gen` this year, `12/01/2026` else.
pub(super) fn short(instant: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let (local, today) = (instant.with_timezone(&Rome), now.with_timezone(&Rome));
    if local.date_naive() == today.date_naive() {
        return time(instant);
    }
    if local.year() != today.year() {
        return local.format("%d/%m/%Y").to_string();
    }
    let month = MONTHS.get(local.month0() as usize).and_then(|month| month.get(..3)).unwrap_or_default();
    format!("{} {month}", local.day())
}

/// Euro cents as `1.234,56 €`.
pub(super) fn euros(cents: u64) -> String {
    format!("{},{:02}\u{a0}€", thousands(cents / 100), cents % 100)
}

/// `1.234.567`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

/// Notice number in groups of four digits, as it is printed on paper.
pub(super) fn groups(digits: &str) -> String {
    let digits: Vec<char> = digits.chars().collect();
    digits.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_due_instant_is_told_in_roman_time() {
        assert_eq!(date(at("2027-01-12T22:59:59Z")), "12 gennaio 2027");
        assert_eq!(time(at("2027-01-12T22:59:59Z")), "23:59");
        assert_eq!(date(at("2027-07-12T22:30:00Z")), "13 luglio 2027");
    }

    #[test]
    fn a_list_says_no_more_of_a_date_than_it_needs() {
        let now = at("2027-05-20T10:00:00Z");
        assert_eq!(short(at("2027-05-20T07:05:00Z"), now), "09:05");
        assert_eq!(short(at("2027-03-01T07:05:00Z"), now), "1 mar");
        assert_eq!(short(at("2026-12-31T07:05:00Z"), now), "31/12/2026");
    }

    #[test]
    fn amounts_have_italian_separators() {
        assert_eq!(euros(123_456), "1.234,56\u{a0}€");
        assert_eq!(euros(5), "0,05\u{a0}€");
        assert_eq!(euros(9_999_999_999), "99.999.999,99\u{a0}€");
        assert_eq!(groups("333333333333333333"), "3333 3333 3333 3333 33");
    }
}
