//! Timestamps as the API reads them: its two date patterns, then JavaScript's `Date`.

use chrono::{DateTime, Duration, NaiveDate, Utc};

/// Reads a timestamp, in UTC where it names no zone; `None` where the API refuses it.
///
/// As JavaScript does, a day of 1 to 31 that its month lacks rolls into the next one (`02-30` is `03-02`)
/// and `24:00:00` is the next midnight; digits after the third of the fraction are dropped.
pub(super) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let (local, offset) = split_zone(text)?;
    let (whole, millis) = split_fraction(local)?;
    let bytes = whole.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if bytes.len() != 19 || separators.iter().any(|&(at, byte)| bytes.get(at) != Some(&byte)) {
        return None;
    }
    let number = |from: usize, to: usize| digits(whole.get(from..to)?);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_end_of_day = (hour, minute, second, millis) == (24, 0, 0, 0);
    if !(1..=31).contains(&day) || (hour > 23 && !is_end_of_day) || minute > 59 || second > 59 {
        return None;
    }
    let first = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, u32::try_from(month).ok()?, 1)?;
    let time = Duration::days(day - 1)
        + Duration::hours(hour)
        + Duration::minutes(minute)
        + Duration::seconds(second)
        + Duration::milliseconds(millis);
    first.and_hms_opt(0, 0, 0)?.checked_add_signed(time)?.checked_sub_signed(offset).map(|utc| utc.and_utc())
}

/// The API's normal form: UTC with milliseconds.
pub(super) fn to_text(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Takes the zone off: `Z`, `+hh:mm`, `-hh:mm`, or nothing.
fn split_zone(text: &str) -> Option<(&str, Duration)> {
    if let Some(local) = text.strip_suffix('Z') {
        return Some((local, Duration::zero()));
    }
    let Some(at) = text.len().checked_sub(6).filter(|&at| at >= 19 && text.is_char_boundary(at)) else {
        return Some((text, Duration::zero()));
    };
    let (local, zone) = text.split_at(at);
    let sign = match zone.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Some((text, Duration::zero())),
    };
    let (hours, minutes) = (digits(zone.get(1..3)?)?, digits(zone.get(4..6)?)?);
    if zone.as_bytes().get(3) != Some(&b':') || hours > 23 || minutes > 59 {
        return None;
    }
    Some((local, Duration::minutes(sign * (hours * 60 + minutes))))
}

/// Takes the fraction off, as milliseconds.
fn split_fraction(local: &str) -> Option<(&str, i64)> {
    let Some((whole, fraction)) = local.split_once('.') else {
        return Some((local, 0));
    };
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{fraction}00");
    Some((whole, digits(padded.get(..3)?)?))
}

fn digits(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_become_utc_milliseconds() {
        for (text, expected) in [
            ("2027-02-28T22:59:59Z", Some("2027-02-28T22:59:59.000Z")),
            ("2027-02-28T23:59:59+01:00", Some("2027-02-28T22:59:59.000Z")),
            ("2027-02-28T22:59:59.1239Z", Some("2027-02-28T22:59:59.123Z")),
            ("2027-02-28T22:59:59.5", Some("2027-02-28T22:59:59.500Z")),
            ("2027-04-31T00:00:00Z", Some("2027-05-01T00:00:00.000Z")),
            ("2027-04-30T24:00:00Z", Some("2027-05-01T00:00:00.000Z")),
            ("2027-04-30T24:00:01Z", None),
            ("2027-04-32T00:00:00Z", None),
            ("2027-04-30T12:60:00Z", None),
            ("2027-04-30T12:00:00.Z", None),
            ("2027-04-30 12:00:00Z", None),
            ("2027-04-30T12:00:00+0100", None),
            ("2027-04-30T12:00:00+24:00", None),
            ("+027-04-30T12:00:00Z", None),
            ("", None),
            ("€€€€€€€€€€€€", None),
        ] {
            assert_eq!(parse(text).map(to_text).as_deref(), expected, "{text}");
        }
    }
}
