//! Calendar arithmetic of terms: holidays, working days, local instants (rules.md section 1).

use chrono::{
    DateTime, Datelike, Duration, LocalResult, Months, NaiveDate, NaiveTime, TimeZone, Utc, Weekday,
};
use chrono_tz::Tz;
use serde::Deserialize;

/// National holidays, as data with the year they begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holidays {
    fixed: Vec<Holiday>,
    easter_offsets: Vec<i64>,
}

/// A holiday on the same day of each year.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    /// Month, 1 to 12.
    pub mese: u32,
    /// Day of the month.
    pub giorno: u32,
    /// Name, for people.
    pub nome: String,
    /// The first year in which it is a holiday.
    #[serde(default)]
    pub dal: i32,
}

impl Holidays {
    /// Fixed holidays, and offsets in days from Easter Sunday (1 is Easter Monday).
    #[must_use]
    pub fn new(fixed: Vec<Holiday>, easter_offsets: Vec<i64>) -> Self {
        Self { fixed, easter_offsets }
    }

    /// Whether the day is a national holiday.
    #[must_use]
    pub fn contains(&self, day: NaiveDate) -> bool {
        let fixed =
            self.fixed.iter().any(|h| h.mese == day.month() && h.giorno == day.day() && day.year() >= h.dal);
        fixed || self.easter_offsets.iter().any(|offset| easter(day.year()) + Duration::days(*offset) == day)
    }
}

/// Easter Sunday of a year (Gregorian computus, Meeus/Jones/Butcher).
#[must_use]
#[expect(clippy::many_single_char_names, reason = "the letters are those of the published algorithm")]
pub fn easter(year: i32) -> NaiveDate {
    let a = year % 19;
    let (b, c) = (year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let n = h + l - 7 * m + 114;
    let (month, day) = (n / 31, n % 31 + 1);
    u32::try_from(month)
        .ok()
        .zip(u32::try_from(day).ok())
        .and_then(|(month, day)| NaiveDate::from_ymd_opt(year, month, day))
        .unwrap_or(NaiveDate::MIN)
}

/// One ente's calendar: zone, national and local holidays.
#[derive(Debug, Clone, Copy)]
pub struct Calendar<'a> {
    /// The ente's zone.
    pub zone: Tz,
    /// National holidays.
    pub holidays: &'a Holidays,
    /// The ente's own, as (month, day).
    pub local: &'a [(u32, u32)],
}

impl Calendar<'_> {
    /// Whether offices are open: Saturday is a working day for terms (contract.md 10.20).
    #[must_use]
    pub fn is_working_day(&self, day: NaiveDate) -> bool {
        day.weekday() != Weekday::Sun
            && !self.holidays.contains(day)
            && !self.local.contains(&(day.month(), day.day()))
    }

    /// The day itself if it is a working day, else the next one (rules.md 1.4).
    #[must_use]
    pub fn working_day_from(&self, mut day: NaiveDate) -> NaiveDate {
        while !self.is_working_day(day) {
            day += Duration::days(1);
        }
        day
    }

    /// The instant of a local time. A time that the spring change skips becomes the first that exists
    /// after it; one that the autumn change repeats is the earlier.
    #[must_use]
    pub fn instant(&self, day: NaiveDate, time: NaiveTime) -> DateTime<Utc> {
        let local = day.and_time(time);
        match self.zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.with_timezone(&Utc),
            LocalResult::None => {
                let later = self.zone.from_local_datetime(&(local + Duration::hours(1)));
                later.earliest().map_or_else(|| local.and_utc(), |at| at.with_timezone(&Utc))
            }
        }
    }

    /// The last second of a local day: IO's `due_date` of a date without a time (rules.md 1.6).
    #[must_use]
    pub fn end_of_day(&self, day: NaiveDate) -> DateTime<Utc> {
        self.instant(day, NaiveTime::from_hms_opt(23, 59, 59).unwrap_or(NaiveTime::MIN))
    }

    /// The local date of an instant.
    #[must_use]
    pub fn date(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.zone).date_naive()
    }

    /// The local time of an instant.
    #[must_use]
    pub fn time(&self, at: DateTime<Utc>) -> NaiveTime {
        at.with_timezone(&self.zone).time()
    }
}

/// Adds months, then days. A month without that day number ends on its last day (rules.md 1.3).
/// `None` outside the years that the calendar can hold.
#[must_use]
pub fn add(day: NaiveDate, months: i32, days: i64) -> Option<NaiveDate> {
    let count = Months::new(months.unsigned_abs());
    let moved = if months < 0 { day.checked_sub_months(count) } else { day.checked_add_months(count) }?;
    moved.checked_add_signed(Duration::try_days(days)?)
}
