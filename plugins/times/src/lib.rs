//! Reading the time of a record: as the parameters of every parser say, or out of a field.

mod civil;
mod cursor;
mod field;
mod format;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use sdk::{clock::Clock, config::Zone, event::Time};
use serde::Deserialize;

use civil::Place;
use cursor::Cursor;
use format::Format;

pub use field::FieldTime;

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeType {
    /// As `time_format` says, or in one of the usual forms.
    String,
    /// Whole seconds since 1970.
    Unixtime,
    /// Seconds since 1970 with a fraction.
    Float,
    /// As `time_format` says, or else as one of `time_format_fallbacks`.
    Mixed,
}

/// Reads times. The first of its ways that fits is taken.
#[derive(Debug)]
pub struct Times {
    ways: Vec<Way>,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Format(Format),
    Unixtime,
    Float,
    /// A number whose size tells whether it counts seconds or smaller units.
    AnyNumber,
    /// ISO 8601 and other usual forms.
    Usual(Vec<Format>),
}

/// Forms that are read without a format, besides ISO 8601.
const USUAL: [&str; 6] = [
    "%d/%b/%Y:%H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a %b %d %H:%M:%S %Y",
    "%a %b %d %H:%M:%S %Z %Y",
    "%b %d %H:%M:%S",
    "%Y%m%dT%H%M%S%z",
];

/// The words of the configuration, before they are compiled.
#[derive(Debug)]
pub struct Wanted<'c> {
    /// `time_type`.
    pub time_type: Option<TimeType>,
    /// `time_format`.
    pub format: Option<&'c str>,
    /// `time_format_fallbacks`.
    pub fallbacks: &'c [String],
    /// The zone of a time that names none.
    pub zone: Zone,
}

impl Times {
    /// Compiles the words of the configuration.
    ///
    /// # Errors
    /// What is wrong, and the parameter that says it.
    pub fn compile(wanted: &Wanted<'_>, clock: &Clock) -> Result<Self, (&'static str, String)> {
        let of_format = |text: &str| Format::compile(text).map(Way::Format);
        let first = match (wanted.time_type, wanted.format) {
            (Some(TimeType::Unixtime), _) => vec![Way::Unixtime],
            (Some(TimeType::Float), _) => vec![Way::Float],
            (_, Some(format)) => {
                vec![of_format(format).map_err(|error| ("time_format", error))?]
            }
            (Some(TimeType::Mixed), None) => Vec::new(),
            (Some(TimeType::String), None) => vec![usual()],
            (None, None) => vec![usual(), Way::AnyNumber],
        };
        let mut ways = first;
        for fallback in wanted.fallbacks {
            ways.push(match fallback.as_str() {
                "unixtime" => Way::Unixtime,
                "float" => Way::Float,
                "string" => usual(),
                format => of_format(format).map_err(|error| ("time_format_fallbacks", error))?,
            });
        }
        if ways.is_empty() {
            let message = "time_type = \"mixed\" needs time_format or time_format_fallbacks";
            return Err(("time_type", message.to_owned()));
        }
        Ok(Self {
            ways,
            place: Place::new(wanted.zone.clone(), clock.clone()),
        })
    }

    /// Reads a time from text; `None` when it is none.
    #[inline]
    pub fn read(&self, text: &[u8]) -> Option<Time> {
        self.ways.iter().find_map(|way| way.read(text, &self.place))
    }

    /// Reads a time from a number; `None` where times are text.
    pub fn number(&self, number: f64) -> Option<Time> {
        match self.way_of_numbers()? {
            Way::Unixtime => Time::from_f64(number.floor()),
            Way::AnyNumber if number.abs() >= 1e11 => {
                let whole = Time::from_f64(number.floor())?;
                Some(scaled(whole.secs))
            }
            _ => Time::from_f64(number),
        }
    }

    /// Reads a time from a whole number; `None` where times are text.
    pub fn integer(&self, number: i64) -> Option<Time> {
        match self.way_of_numbers()? {
            Way::AnyNumber => Some(scaled(number)),
            _ => Some(Time::from_secs(number)),
        }
    }

    fn way_of_numbers(&self) -> Option<&Way> {
        let takes = |way: &&Way| matches!(way, Way::Float | Way::Unixtime | Way::AnyNumber);
        self.ways.iter().find(takes)
    }
}

/// Seconds, or milli-, micro- or nanoseconds when the number would be far in the future as seconds.
fn scaled(number: i64) -> Time {
    let per_sec = match number.unsigned_abs() {
        0..100_000_000_000 => 1,
        100_000_000_000..100_000_000_000_000 => 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000_000,
        _ => 1_000_000_000,
    };
    let part = number.rem_euclid(per_sec) * (1_000_000_000 / per_sec);
    Time {
        secs: number.div_euclid(per_sec),
        nanos: u32::try_from(part).unwrap_or(0),
    }
}

fn usual() -> Way {
    Way::Usual(
        USUAL
            .iter()
            .filter_map(|text| Format::compile(text).ok())
            .collect(),
    )
}

impl Way {
    #[inline]
    fn read(&self, text: &[u8], place: &Place) -> Option<Time> {
        match self {
            Self::Format(format) => format.read(text, place),
            Self::Unixtime => unix(text).map(|time| Time::from_secs(time.secs)),
            Self::Float => unix(text),
            Self::AnyNumber => {
                let time = unix(text)?;
                Some(if time.secs.unsigned_abs() < 100_000_000_000 {
                    time
                } else {
                    scaled(time.secs)
                })
            }
            Self::Usual(formats) => {
                let mut cursor = Cursor::new(text);
                let iso = format::iso(&mut cursor).filter(|_| cursor.is_empty());
                match iso.and_then(|parts| place.time(&parts)) {
                    None => formats.iter().find_map(|format| format.read(text, place)),
                    found => found,
                }
            }
        }
    }
}

/// Seconds since 1970 in decimal digits, with a fraction or without.
fn unix(text: &[u8]) -> Option<Time> {
    let mut cursor = Cursor::new(text);
    let negative = cursor.peek() == Some(b'-');
    let secs = cursor.signed(19)?;
    let nanos = match cursor.byte(b'.') {
        Some(()) => cursor.fraction()?,
        None => 0,
    };
    if !cursor.is_empty() {
        return None;
    }
    Some(if negative && nanos > 0 {
        // -1.25 is 750 ms after -2.
        Time {
            secs: secs - 1,
            nanos: 1_000_000_000 - nanos,
        }
    } else {
        Time { secs, nanos }
    })
}
