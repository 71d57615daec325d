//! Times as text, in the format and the zone that the parameters say.

use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
use schemars::JsonSchema;
use sdk::{
    config::{ConfigError, Zone},
    event::Time,
};
use serde::Deserialize;

/// How the time of an event is written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Stamping {
    /// `string` as `time_format` says, `unixtime` as whole seconds, `float` as seconds with nine digits of fraction.
    pub time_type: TimeType,
    /// The form of the time in the directives of `strftime`, with `%L`, `%N`, `%3N` for the fraction of a second.
    pub time_format: Option<String>,
    /// The zone: `"UTC"`, `"local"`, `"+09:00"`, `"Asia/Seoul"`. By default that of the host.
    pub timezone: Option<Zone>,
    /// Write the time in UTC.
    pub utc: Option<bool>,
    /// Write the time in the zone of the host.
    pub localtime: Option<bool>,
}

/// The kinds of times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeType {
    /// Text.
    #[default]
    String,
    /// Whole seconds since 1970.
    Unixtime,
    /// Seconds since 1970 with a fraction.
    Float,
}

/// Writes times. The text of a second is kept, since many events share it.
#[derive(Debug)]
pub(crate) struct Stamp {
    time_type: TimeType,
    /// Parts of the format: text within a second is the same, and a fraction of so many digits follows each but the last.
    parts: Vec<(String, usize)>,
    zone: Zone,
    found: OnceLock<TimeZone>,
    last: Mutex<Option<(i64, Vec<String>)>>,
}

impl Stamp {
    /// # Errors
    /// The format is none.
    pub(crate) fn compile(stamping: &Stamping, by_default: &str) -> Result<Self, ConfigError> {
        let text = stamping.time_format.as_deref().unwrap_or(by_default);
        let parts = split(text);
        let epoch = Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
        for (part, _) in &parts {
            if let Err(error) = strtime::format(part, &epoch) {
                let message = format!("{text:?} is not a time format: {error}");
                let error = ConfigError::at("/time_format", message);
                return Err(error.help("write %Y, %m, %d, %H, %M, %S, %z and so on"));
            }
        }
        let zone = match &stamping.timezone {
            Some(zone) => zone.clone(),
            None if stamping.utc == Some(true) || stamping.localtime == Some(false) => Zone::UTC,
            None => Zone::LOCAL,
        };
        Ok(Self {
            time_type: stamping.time_type,
            parts,
            zone,
            found: OnceLock::new(),
            last: Mutex::new(None),
        })
    }

    /// Appends the text of `time`.
    pub(crate) fn write(&self, out: &mut Vec<u8>, time: Time) {
        match self.time_type {
            TimeType::Unixtime => out.extend_from_slice(time.secs.to_string().as_bytes()),
            TimeType::Float => {
                // Before 1970 the fraction counts the other way.
                let (secs, nanos) = match time {
                    Time { secs, nanos } if secs < 0 && nanos > 0 => {
                        (secs + 1, 1_000_000_000 - nanos)
                    }
                    Time { secs, nanos } => (secs, nanos),
                };
                let sign = if time.secs < 0 && secs == 0 { "-" } else { "" };
                out.extend_from_slice(format!("{sign}{secs}.{nanos:09}").as_bytes());
            }
            TimeType::String => self.text(out, time),
        }
    }

    fn text(&self, out: &mut Vec<u8>, time: Time) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|(secs, _)| *secs != time.secs) {
            *last = Some((time.secs, self.second(time.secs)));
        }
        let texts = last.iter().flat_map(|(_, texts)| texts);
        for (text, (_, digits)) in texts.zip(&self.parts) {
            out.extend_from_slice(text.as_bytes());
            let fraction = format!("{:09}", time.nanos);
            out.extend_from_slice(fraction.as_bytes().get(..*digits).unwrap_or_default());
        }
    }

    /// The parts of the format at a second; a time that has no calendar is its number.
    fn second(&self, secs: i64) -> Vec<String> {
        let zone = self.found.get_or_init(|| self.zone.get());
        let at = Timestamp::from_second(secs).map(|at| at.to_zoned_datetime(zone.clone()));
        let part = |(format, _): &(String, usize)| match &at {
            Ok(at) => strtime::format(format, at).unwrap_or_default(),
            Err(_) => String::new(),
        };
        let mut parts: Vec<String> = self.parts.iter().map(part).collect();
        if let (Err(_), Some(first)) = (&at, parts.first_mut()) {
            *first = secs.to_string();
        }
        parts
    }
}

/// Takes the fractions of a second out of a format: `%L`, `%N`, `%f` and with digits `%3N`.
fn split(format: &str) -> Vec<(String, usize)> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut chars = format.chars().peekable();
    while let Some(char) = chars.next() {
        if char != '%' {
            text.push(char);
            continue;
        }
        let mut digits = String::new();
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        match chars.next() {
            Some(letter @ ('L' | 'N' | 'f')) => {
                let by_default = if letter == 'L' { 3 } else { 9 };
                let digits = digits.parse().unwrap_or(by_default).clamp(1, 9);
                parts.push((std::mem::take(&mut text), digits));
            }
            Some(letter) => text.extend(['%'].into_iter().chain(digits.chars()).chain([letter])),
            None => text.push('%'),
        }
    }
    parts.push((text, 0));
    for (text, _) in &mut parts {
        *text = text.replace("%iso8601", ISO);
    }
    parts
}

/// ISO 8601 with whole seconds, as Ruby writes it.
pub(crate) const ISO: &str = "%Y-%m-%dT%H:%M:%S%:z";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stamping: &Stamping, secs: i64, nanos: u32, expected: &str) {
        let stamp = Stamp::compile(stamping, ISO).unwrap();
        for _ in 0..2 {
            let mut out = Vec::new();
            stamp.write(&mut out, Time { secs, nanos });
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    fn of(format: &str, zone: &str) -> Stamping {
        Stamping {
            time_format: Some(format.to_owned()),
            timezone: Some(zone.parse().unwrap()),
            ..Stamping::default()
        }
    }

    /// The expected texts are what Ruby's `strftime` gives.
    #[test]
    fn formats_are_those_of_strftime() {
        let at = 1_700_000_000;
        check(&of("%iso8601", "UTC"), at, 5, "2023-11-14T22:13:20+00:00");
        check(
            &of("%Y-%m-%d %H:%M:%S.%N %z", "+09:00"),
            at,
            5,
            "2023-11-15 07:13:20.000000005 +0900",
        );
        check(
            &of("%d/%b/%Y:%H:%M:%S.%L", "UTC"),
            at,
            123_456_789,
            "14/Nov/2023:22:13:20.123",
        );
        check(
            &of("%s.%6N|%3N", "UTC"),
            at,
            123_456_789,
            "1700000000.123456|123",
        );
        check(&of("100%% %Y", "UTC"), at, 0, "100% 2023");
        let utc = Stamping {
            utc: Some(true),
            ..Stamping::default()
        };
        check(&utc, -1, 0, "1969-12-31T23:59:59+00:00");
        check(&of("%Y", "UTC"), i64::MAX, 0, &i64::MAX.to_string());
        assert!(Stamp::compile(&of("%!", "UTC"), ISO).is_err());
    }

    #[test]
    fn numbers_are_seconds() {
        let of = |time_type| Stamping {
            time_type,
            ..Stamping::default()
        };
        check(&of(TimeType::Unixtime), 7, 999_999_999, "7");
        check(&of(TimeType::Float), 7, 5, "7.000000005");
        check(&of(TimeType::Float), -2, 750_000_000, "-1.250000000");
        check(&of(TimeType::Float), -1, 750_000_000, "-0.250000000");
    }
}
