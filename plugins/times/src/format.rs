//! Time formats: the directives of Ruby's `strptime`, compiled once.

use jiff::tz::TimeZone;
use sdk::event::Time;

use super::{
    civil::{Parts, Place},
    cursor::Cursor,
};

/// A compiled format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format(Vec<Step>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Byte(u8),
    /// Any number of blanks.
    Blanks,
    Year,
    ShortYear,
    Month,
    MonthName,
    Day,
    DayOfYear,
    WeekdayName,
    /// A number that says nothing new, such as the day of the week.
    Ignored,
    Hour,
    Minute,
    Second,
    Fraction,
    Half,
    Offset,
    Zone,
    Epoch,
    EpochMillis,
    /// A whole time as in ISO 8601.
    Iso,
}

impl Format {
    /// # Errors
    /// What is wrong with it, for the configuration.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if next == '%' {
                rest = directive(rest, &mut steps)?;
            } else {
                let (literal, after) = rest.split_at(next.len_utf8());
                if next.is_ascii_whitespace() {
                    steps.push(Step::Blanks);
                } else {
                    steps.extend(literal.bytes().map(Step::Byte));
                }
                rest = after;
            }
        }
        steps.dedup_by(|next, before| *next == Step::Blanks && *before == Step::Blanks);
        Ok(Self(steps))
    }

    /// Reads the whole of `text`.
    pub(super) fn read(&self, text: &[u8], place: &Place) -> Option<Time> {
        let mut cursor = Cursor::new(text);
        let mut parts = Parts::default();
        for step in &self.0 {
            step.read(&mut cursor, &mut parts)?;
        }
        cursor.is_empty().then(|| place.time(&parts))?
    }
}

/// Compiles the directive at the start of `text` and returns what is behind it.
fn directive<'t>(text: &'t str, steps: &mut Vec<Step>) -> Result<&'t str, String> {
    let body = text.strip_prefix('%').unwrap_or(text);
    if let Some(rest) = body.strip_prefix("iso8601") {
        steps.push(Step::Iso);
        return Ok(rest);
    }
    // Flags and widths are about writing; a number is read as it comes.
    let body = body.trim_start_matches(['-', '_', '^', '#', ':']);
    let body = body.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let Some(letter) = body.chars().next() else {
        return Err(format!(
            "the time format {text:?} ends in the middle; write %% for a percent sign"
        ));
    };
    let Some(parts) = parts(letter) else {
        return Err(format!(
            "the time format has no directive %{letter}; there are %Y %m %d %b %H %M %S %L %N %z %s and the others of Ruby's strptime"
        ));
    };
    steps.extend_from_slice(parts);
    Ok(body.strip_prefix(letter).unwrap_or_default())
}

/// What the letter of a directive stands for.
fn parts(letter: char) -> Option<&'static [Step]> {
    Some(match letter {
        '%' => &[Step::Byte(b'%')],
        'n' | 't' => &[Step::Blanks],
        'Y' | 'G' => &[Step::Year],
        'y' => &[Step::ShortYear],
        'm' => &[Step::Month],
        'b' | 'B' | 'h' => &[Step::MonthName],
        'd' | 'e' => &[Step::Day],
        'j' => &[Step::DayOfYear],
        'a' | 'A' => &[Step::WeekdayName],
        'u' | 'w' => &[Step::Ignored],
        'H' | 'k' | 'I' | 'l' => &[Step::Hour],
        'M' => &[Step::Minute],
        'S' => &[Step::Second],
        'L' | 'N' | 'f' => &[Step::Fraction],
        'p' | 'P' => &[Step::Half],
        'z' => &[Step::Offset],
        'Z' => &[Step::Zone],
        's' => &[Step::Epoch],
        'Q' => &[Step::EpochMillis],
        'T' | 'X' => &TIME,
        'R' => &[Step::Hour, Step::Byte(b':'), Step::Minute],
        'r' => &TIME_OF_TWELVE,
        'F' => &[
            Step::Year,
            Step::Byte(b'-'),
            Step::Month,
            Step::Byte(b'-'),
            Step::Day,
        ],
        'D' | 'x' => &[
            Step::Month,
            Step::Byte(b'/'),
            Step::Day,
            Step::Byte(b'/'),
            Step::ShortYear,
        ],
        'v' => &[
            Step::Day,
            Step::Byte(b'-'),
            Step::MonthName,
            Step::Byte(b'-'),
            Step::Year,
        ],
        'c' => &DATE_AND_TIME,
        _ => return None,
    })
}

const TIME: [Step; 5] = [
    Step::Hour,
    Step::Byte(b':'),
    Step::Minute,
    Step::Byte(b':'),
    Step::Second,
];
const TIME_OF_TWELVE: [Step; 7] = [
    Step::Hour,
    Step::Byte(b':'),
    Step::Minute,
    Step::Byte(b':'),
    Step::Second,
    Step::Blanks,
    Step::Half,
];
const DATE_AND_TIME: [Step; 13] = [
    Step::WeekdayName,
    Step::Blanks,
    Step::MonthName,
    Step::Blanks,
    Step::Day,
    Step::Blanks,
    Step::Hour,
    Step::Byte(b':'),
    Step::Minute,
    Step::Byte(b':'),
    Step::Second,
    Step::Blanks,
    Step::Year,
];

impl Step {
    #[inline]
    fn read(self, cursor: &mut Cursor<'_>, parts: &mut Parts) -> Option<()> {
        match self {
            Self::Byte(byte) => cursor.byte(byte)?,
            Self::Blanks => cursor.blanks(),
            Self::Year => parts.year = Some(cursor.signed(4)?),
            Self::ShortYear => {
                let year = cursor.number(2)?;
                parts.year = Some(year + if year < 69 { 2000 } else { 1900 });
            }
            Self::Month => parts.month = Some(cursor.number(2)?),
            Self::MonthName => parts.month = Some(cursor.month()?),
            Self::Day => {
                cursor.blanks();
                parts.day = Some(cursor.number(2)?);
            }
            Self::DayOfYear => parts.day_of_year = Some(cursor.number(3)?),
            Self::WeekdayName => cursor.weekday()?,
            Self::Ignored => drop(cursor.number(1)?),
            Self::Hour => {
                cursor.blanks();
                parts.hour = Some(cursor.number(2)?);
            }
            Self::Minute => parts.minute = cursor.number(2)?,
            Self::Second => parts.second = cursor.number(2)?,
            Self::Fraction => parts.nanos = cursor.fraction()?,
            Self::Half => parts.after_noon = Some(cursor.half()?),
            Self::Offset => parts.offset = Some(cursor.offset()?),
            Self::Zone => zone(cursor, parts)?,
            Self::Epoch => parts.epoch = Some(cursor.signed(19)?),
            Self::EpochMillis => {
                let millis = cursor.signed(19)?;
                parts.epoch = Some(millis.div_euclid(1000));
                let millis = u32::try_from(millis.rem_euclid(1000)).ok()?;
                parts.nanos = millis * 1_000_000;
            }
            Self::Iso => *parts = iso(cursor)?,
        }
        Some(())
    }
}

fn zone(cursor: &mut Cursor<'_>, parts: &mut Parts) -> Option<()> {
    let mut ahead = *cursor;
    if let Some(offset) = ahead.offset() {
        *cursor = ahead;
        parts.offset = Some(offset);
        return Some(());
    }
    // A zone by name has no offset of its own: that of the moment is close enough only for a fixed one.
    let zone = TimeZone::get(cursor.zone_name()?).ok()?;
    let wall = Parts {
        offset: Some(0),
        ..*parts
    };
    let wall = Place::new(sdk::config::Zone::UTC, sdk::clock::Clock::system()).time(&wall)?;
    let wall = TimeZone::UTC.to_datetime(jiff::Timestamp::from_second(wall.secs).ok()?);
    let at = zone.to_timestamp(wall).ok()?;
    parts.offset = Some(i64::from(zone.to_offset(at).seconds()));
    Some(())
}

/// `2026-01-02T03:04:05.678+09:00`, with a blank for the `T`, slashes for the hyphens, a comma for the point,
/// and without what stands behind the day, the minute or the second.
#[inline]
pub(super) fn iso(cursor: &mut Cursor<'_>) -> Option<Parts> {
    let mut parts = Parts {
        year: Some(cursor.signed(4)?),
        ..Parts::default()
    };
    let between = cursor.peek().filter(|byte| matches!(byte, b'-' | b'/'))?;
    cursor.byte(between)?;
    parts.month = Some(cursor.number(2)?);
    cursor.byte(between)?;
    parts.day = Some(cursor.number(2)?);
    match cursor.peek() {
        Some(separator @ (b'T' | b't' | b' ')) => cursor.byte(separator)?,
        _ => return Some(parts),
    }
    parts.hour = Some(cursor.number(2)?);
    cursor.byte(b':')?;
    parts.minute = cursor.number(2)?;
    if cursor.byte(b':').is_some() {
        parts.second = cursor.number(2)?;
        if cursor.byte(b'.').or_else(|| cursor.byte(b',')).is_some() {
            parts.nanos = cursor.fraction()?;
        }
    }
    let mut ahead = *cursor;
    ahead.blanks();
    if let Some(offset) = ahead.offset() {
        *cursor = ahead;
        parts.offset = Some(offset);
    }
    Some(parts)
}
