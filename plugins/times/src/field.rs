//! The time in a field of a record, for plugins that are no parsers.

use sdk::{
    clock::Clock,
    config::Zone,
    event::Time,
    msgpack::{RawValue, Token},
};

use super::{Times, Wanted};

/// Reads the time in a field.
#[derive(Debug)]
pub struct FieldTime {
    texts: Times,
    numbers: Times,
}

impl FieldTime {
    /// For text in this format of `strptime`, or in one of the usual forms. A time that names no zone is in `zone`.
    ///
    /// # Errors
    /// What is wrong with the format.
    pub fn new(format: Option<&str>, zone: &Zone, clock: &Clock) -> Result<Self, String> {
        let wanted = |format| Wanted {
            time_type: None,
            format,
            fallbacks: &[],
            zone: zone.clone(),
        };
        let compiled = |format| {
            let times = Times::compile(&wanted(format), clock);
            times.map_err(|(_, message)| message)
        };
        Ok(Self {
            texts: compiled(format)?,
            numbers: compiled(None)?,
        })
    }

    /// The time; `None`: the value is none. A number counts seconds, or a smaller unit when it is too large for seconds.
    pub fn read(&self, value: RawValue<'_>) -> Option<Time> {
        match value.token() {
            Token::Int(number) => self.numbers.integer(number),
            Token::UInt(number) => self.numbers.integer(i64::try_from(number).ok()?),
            Token::F32(number) => self.numbers.number(f64::from(number)),
            Token::F64(number) => self.numbers.number(number),
            Token::Str(text) | Token::Bin(text) => self.texts.read(text),
            token @ Token::Ext(..) => Time::from_token(token).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use sdk::msgpack::write;
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(format: Option<&str>, value: &Value, expected: Option<(i64, u32)>) {
        let field = FieldTime::new(format, &Zone::UTC, &Clock::system()).unwrap();
        let mut bytes = Vec::new();
        write::json(&mut bytes, value);
        let time = field.read(RawValue::parse(&bytes).unwrap());
        let expected = expected.map(|(secs, nanos)| Time { secs, nanos });
        assert_eq!(time, expected, "{format:?} {value}");
    }

    #[test]
    fn text_is_read_by_the_format_or_in_the_usual_forms() {
        let whole = Some((1_764_000_000, 0));
        check(None, &json!("2025-11-24T16:00:00Z"), whole);
        check(None, &json!("2025-11-24 16:00:00"), whole);
        check(
            None,
            &json!("2025-11-24T17:00:00.25+01:00"),
            Some((1_764_000_000, 250_000_000)),
        );
        check(None, &json!("24/Nov/2025:16:00:00 +0000"), whole);
        check(None, &json!("soon"), None);
        check(Some("%d.%m.%Y %H-%M"), &json!("24.11.2025 16-00"), whole);
        check(Some("%d.%m.%Y %H-%M"), &json!("2025-11-24T16:00:00Z"), None);
        assert!(FieldTime::new(Some("%!"), &Zone::UTC, &Clock::system()).is_err());
    }

    #[test]
    fn numbers_count_seconds_or_less_whatever_the_format() {
        for format in [None, Some("%Y")] {
            check(format, &json!(1_764_000_000), Some((1_764_000_000, 0)));
            check(
                format,
                &json!(1_764_000_000_250_i64),
                Some((1_764_000_000, 250_000_000)),
            );
            check(
                format,
                &json!(1_764_000_000.5),
                Some((1_764_000_000, 500_000_000)),
            );
        }
        for value in [json!(null), json!(true), json!([1]), json!({ "a": 1 })] {
            check(None, &value, None);
        }
    }
}
