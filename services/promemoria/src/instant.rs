//! Instants on the command line: read in the ente's zone, written as people in Italy write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeZone, Utc};
use chrono_tz::Tz;

use crate::report::Failure;

/// Reads an instant: RFC 3339 with offset, or local `2027-04-01` or `2027-04-01T09:00` in `zone`. A local
/// time that the clock change skips is the instant right after it, one that comes twice the first.
pub(crate) fn read(option: &str, text: &str, zone: Tz) -> Result<DateTime<Utc>, Failure> {
    let local = || {
        let day = |text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
        let hour = |text| NaiveTime::parse_from_str(text, "%H:%M").ok();
        let naive = match text.split_once(['T', ' ']) {
            Some((date, time)) => day(date)?.and_time(hour(time)?),
            None => day(text)?.and_time(NaiveTime::MIN),
        };
        on_the_clock(naive, zone)
    };
    let given = DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc));
    given.or_else(local).ok_or_else(|| {
        Failure::Usage(format!(
            "{option}: must be a day such as 2027-04-01, a local time such as 2027-04-01T09:00, or RFC 3339"
        ))
    })
}

/// The instant of a local time.
fn on_the_clock(naive: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let exact = zone.from_local_datetime(&naive).earliest();
    let exact = exact.or_else(|| zone.from_local_datetime(&(naive + chrono::TimeDelta::hours(1))).earliest());
    exact.map(|at| at.with_timezone(&Utc))
}

/// `01/04/2027 09:00` in `zone`.
pub(crate) fn people(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%d/%m/%Y %H:%M").to_string()
}

/// RFC 3339 with the offset of `zone`.
pub(crate) fn machine(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// The instant of Unix milliseconds.
pub(crate) fn of_ms(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Result<String, String> {
        match read("--from", text, Tz::Europe__Rome) {
            Ok(at) => Ok(at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            Err(Failure::Usage(line)) => Err(line),
            Err(other) => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn days_and_times_are_the_entes() {
        for (text, expected) in [
            ("2027-04-01", "2027-03-31T22:00:00Z"),
            ("2027-01-10T10:00", "2027-01-10T09:00:00Z"),
            ("2027-01-10 10:00", "2027-01-10T09:00:00Z"),
            ("2027-01-10T10:00:00+02:00", "2027-01-10T08:00:00Z"),
            // The night of the clock change: 02:30 does not exist.
            ("2027-03-28T02:30", "2027-03-28T01:30:00Z"),
        ] {
            assert_eq!(at(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_by_the_options_name() {
        for text in ["", "tomorrow", "01/04/2027", "2027-02-30", "2027-01-10T25:00"] {
            assert!(at(text).is_err_and(|line| line.starts_with("--from: ")), "{text}");
        }
    }
}
