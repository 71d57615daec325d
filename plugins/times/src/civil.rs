//! From the parts of a time to the time: zones, and what a text leaves out.

use std::sync::OnceLock;

use jiff::tz::TimeZone;
use sdk::{clock::Clock, config::Zone, event::Time};

/// Where and when a text is read: the zone of times that name none, and the clock for a date that is left out.
#[derive(Debug)]
pub(crate) struct Place {
    zone: Zone,
    fixed: OnceLock<Found>,
    clock: Clock,
}

/// The zone, looked up when it is first needed.
#[derive(Debug)]
enum Found {
    Offset(i64),
    Changing(TimeZone),
}

/// What a text says of a time. Numbers are as they were written, so they may be out of range.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts {
    pub(super) year: Option<i64>,
    pub(super) month: Option<i64>,
    pub(super) day: Option<i64>,
    pub(super) day_of_year: Option<i64>,
    pub(super) hour: Option<i64>,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) nanos: u32,
    /// Whether an hour of twelve is after noon.
    pub(super) after_noon: Option<bool>,
    /// From UTC, in seconds.
    pub(super) offset: Option<i64>,
    /// Seconds since 1970, which settle everything.
    pub(super) epoch: Option<i64>,
}

/// Seconds of a day.
const DAY_SECS: i64 = 86_400;
/// How far ahead of the clock a date without a year may be before it is taken for last year's.
const AHEAD_SECS: i64 = 31 * DAY_SECS;

impl Place {
    pub(super) fn new(zone: Zone, clock: Clock) -> Self {
        Self {
            zone,
            fixed: OnceLock::new(),
            clock,
        }
    }

    fn found(&self) -> &Found {
        self.fixed.get_or_init(|| {
            let zone = self.zone.get();
            match zone.to_fixed_offset() {
                Ok(offset) => Found::Offset(i64::from(offset.seconds())),
                Err(_) => Found::Changing(zone),
            }
        })
    }

    /// The time of these parts; `None` when there is no such day or time of day.
    pub(super) fn time(&self, parts: &Parts) -> Option<Time> {
        let nanos = parts.nanos;
        if let Some(secs) = parts.epoch {
            return Some(Time { secs, nanos });
        }
        let of_day = second_of_day(parts)?;
        let (month, day) = (parts.month.unwrap_or(1), parts.day.unwrap_or(1));
        let secs = match (parts.year, parts.month, parts.day_of_year) {
            (Some(year), _, Some(of_year)) => {
                let length = 365 + i64::from(is_leap(year));
                let days = days(year, 1, 1)? + of_year - 1;
                let exists = (1..=length).contains(&of_year);
                exists.then(|| self.at(parts, days * DAY_SECS + of_day))??
            }
            (Some(year), ..) => self.at(parts, days(year, month, day)? * DAY_SECS + of_day)?,
            (None, Some(_), _) => self.without_year(parts, month, day, of_day)?,
            (None, None, _) => self.today(parts, of_day)?,
        };
        Some(Time { secs, nanos })
    }

    /// The seconds since 1970 of a wall-clock time, counted as if it were UTC.
    fn at(&self, parts: &Parts, wall_secs: i64) -> Option<i64> {
        if let Some(offset) = parts.offset {
            return Some(wall_secs - offset);
        }
        match self.found() {
            Found::Offset(offset) => Some(wall_secs - offset),
            Found::Changing(zone) => {
                let wall = jiff::Timestamp::from_second(wall_secs).ok()?;
                let wall = TimeZone::UTC.to_datetime(wall);
                zone.to_timestamp(wall).ok().map(jiff::Timestamp::as_second)
            }
        }
    }

    /// The latest such day that is not far ahead: what is read in January may be of December.
    fn without_year(&self, parts: &Parts, month: i64, day: i64, of_day: i64) -> Option<i64> {
        let now = self.clock.now().secs;
        let this_year = year_of(now);
        [
            this_year + 1,
            this_year,
            this_year - 1,
            this_year - 2,
            this_year - 3,
        ]
        .into_iter()
        .filter_map(|year| self.at(parts, days(year, month, day)? * DAY_SECS + of_day))
        .find(|secs| *secs <= now + AHEAD_SECS)
    }

    fn today(&self, parts: &Parts, of_day: i64) -> Option<i64> {
        let now = self.clock.now().secs;
        let offset = parts.offset.or_else(|| match self.found() {
            Found::Offset(offset) => Some(*offset),
            Found::Changing(zone) => {
                let now = jiff::Timestamp::from_second(now).ok()?;
                Some(i64::from(zone.to_offset(now).seconds()))
            }
        })?;
        let today = (now + offset).div_euclid(DAY_SECS) * DAY_SECS;
        self.at(parts, today + of_day)
    }
}

fn second_of_day(parts: &Parts) -> Option<i64> {
    let hour = parts.hour.unwrap_or(0);
    let hour = match parts.after_noon {
        None => hour,
        Some(after) if (1..=12).contains(&hour) => hour % 12 + if after { 12 } else { 0 },
        Some(_) => return None,
    };
    // A leap second counts as the one behind it, as Ruby has it.
    let exists = (0..24).contains(&hour) && parts.minute < 60 && parts.second <= 60;
    exists.then_some(hour * 3600 + parts.minute * 60 + parts.second)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. The year is taken to begin in March, so that the leap
/// day is its last, and 153 days are five months.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap(year)),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) || !(-99_999..=99_999).contains(&year) {
        return None;
    }
    let year = if month > 2 { year } else { year - 1 };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// The year of a second, in UTC.
fn year_of(secs: i64) -> i64 {
    let guess = 1970 + secs.div_euclid(31_556_952);
    let begins = |year: i64| days(year, 1, 1).unwrap_or(i64::MAX / DAY_SECS) * DAY_SECS;
    [guess + 1, guess, guess - 1]
        .into_iter()
        .find(|year| begins(*year) <= secs)
        .unwrap_or(guess)
}
