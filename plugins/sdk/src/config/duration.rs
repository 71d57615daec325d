//! Durations: `"500ms"`, `"5s"`, `"1m30s"`, `"7d"`, `5` (seconds).

use std::{fmt, str::FromStr, time::Duration};

/// A length of time. A bare number is seconds, as in Fluentd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(pub Duration);

const UNITS_MS: [(&str, f64); 5] = [
    ("ms", 1.0),
    ("s", 1_000.0),
    ("m", 60_000.0),
    ("h", 3_600_000.0),
    ("d", 86_400_000.0),
];

/// Longest interval, in milliseconds: about 30 years, so that deadlines never overflow.
const MAX_MS: f64 = 1.0e12;

impl Interval {
    /// This many seconds.
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// This many milliseconds.
    pub const fn millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let explain = || {
            format!(
                "{text:?} is not a duration; write \"500ms\", \"5s\", \"1m30s\", \"7d\" or a number of seconds"
            )
        };
        let mut rest = text.trim();
        let mut total_ms = 0.0;
        if let Ok(secs) = rest.parse::<f64>() {
            total_ms = secs * 1_000.0;
            rest = "";
        } else if rest.is_empty() {
            return Err(explain());
        }
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .ok_or_else(explain)?;
            let (number, after) = rest.split_at(digits);
            let letters = after
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(after.len());
            let (unit, after) = after.split_at(letters);
            let (_, factor) = UNITS_MS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(explain)?;
            total_ms += number.parse::<f64>().map_err(|_| explain())? * factor;
            rest = after;
        }
        if !(0.0..=MAX_MS).contains(&total_ms) {
            return Err(explain());
        }
        Ok(Self(Duration::from_secs_f64(total_ms / 1_000.0)))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        match ms {
            0 => f.write_str("0s"),
            _ if ms.is_multiple_of(86_400_000) => write!(f, "{}d", ms / 86_400_000),
            _ if ms.is_multiple_of(3_600_000) => write!(f, "{}h", ms / 3_600_000),
            _ if ms.is_multiple_of(60_000) => write!(f, "{}m", ms / 60_000),
            _ if ms.is_multiple_of(1_000) => write!(f, "{}s", ms / 1_000),
            _ => write!(f, "{ms}ms"),
        }
    }
}

super::format::number_or_text_value!(Interval, "Interval", "weir-duration");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        let cases = [
            ("500ms", 500),
            ("5s", 5_000),
            ("1m30s", 90_000),
            ("7d", 604_800_000),
            ("5", 5_000),
            ("0.5", 500),
        ];
        for (text, ms) in cases {
            assert_eq!(text.parse(), Ok(Interval::millis(ms)), "{text}");
        }
        for text in ["", "5 parsecs", "-1s", "s", "1e99"] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
    }
}
