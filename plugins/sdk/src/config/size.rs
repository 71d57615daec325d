//! Sizes in bytes: `"8MiB"`, `"8m"`, `"512MB"`, `1024`.

use std::{fmt, str::FromStr};

/// A number of bytes. Fluentd's one-letter units are powers of 1024; `MB` is a power of 1000, `MiB` of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 12] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
];

impl Size {
    /// This many mebibytes.
    pub const fn mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// As a length in memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let explain = || {
            format!(
                "{text:?} is not a size; write \"8MiB\", \"512MB\", \"8m\" or a number of bytes"
            )
        };
        let lower = text.trim().to_ascii_lowercase();
        let found = UNITS
            .iter()
            .find_map(|(unit, factor)| Some((lower.strip_suffix(unit)?, *factor)));
        let (number, factor) = found.unwrap_or((lower.strip_suffix('b').unwrap_or(&lower), 1));
        let number = number.trim_end();
        if let Ok(whole) = number.parse::<u64>() {
            return whole
                .checked_mul(factor)
                .map(Self)
                .ok_or_else(|| format!("{text:?} is more bytes than a file can have"));
        }
        let number: f64 = number.parse().map_err(|_| explain())?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "units are powers that a float holds exactly"
        )]
        let bytes = number * factor as f64;
        if !(0.0..9.0e15).contains(&bytes) {
            return Err(explain());
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked above"
        )]
        let bytes = bytes.round() as u64;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS
            .iter()
            .take(4)
            .rev()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        match unit {
            Some((name, factor)) => {
                let (first, rest) = name.split_at(1);
                write!(
                    f,
                    "{}{}{}",
                    self.0 / factor,
                    first.to_ascii_uppercase(),
                    rest.replace('b', "B")
                )
            }
            None => write!(f, "{}", self.0),
        }
    }
}

super::format::number_or_text_value!(Size, "Size", "weir-size");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        let cases = [
            ("8MiB", 8 << 20),
            ("8m", 8 << 20),
            ("512MB", 512_000_000),
            ("1024", 1024),
            ("1.5g", 3 << 29),
            ("24224.0", 24224),
        ];
        for (text, bytes) in cases {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        assert!("eight".parse::<Size>().is_err());
        assert!("-1".parse::<Size>().is_err());
        assert_eq!(Size::mib(16).to_string(), "16MiB");
    }
}
