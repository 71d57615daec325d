//! Values that only the engine's own tables hold. Each parses, checks and describes itself; together with
//! the formats of the SDK these are what the checker knows.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sdk::config::{Size, check_format};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::TagPattern;

/// Longest id, in bytes: it becomes the name of a directory.
const ID_MAX_BYTES: usize = 64;

/// Checks `text` against a format. `None` when nobody knows the format.
pub(super) fn check(format: &str, text: &str) -> Option<Result<(), String>> {
    match format {
        "weir-id" => Some(text.parse::<Id>().map(drop)),
        "weir-memory" => Some(text.parse::<MemoryMax>().map(drop)),
        "weir-tags" => Some(text.parse::<Tags>().map(drop)),
        _ => check_format(format, text),
    }
}

/// What to write where a format does not say it itself.
pub(super) fn remedy(format: &str) -> String {
    match format {
        "weir-pattern" => {
            "characters such as ( [ . + * have a meaning; a backslash before one takes it literally"
                .to_owned()
        }
        _ => format!("write {}", describe(format).unwrap_or("another value")),
    }
}

/// What a format is called in messages.
pub(super) fn describe(format: &str) -> Option<&'static str> {
    Some(match format {
        "weir-duration" => "a duration such as \"5s\"",
        "weir-size" => "a size such as \"8MiB\"",
        "weir-listen" => "an address such as \"0.0.0.0:24224\"",
        "weir-pattern" => "a regular expression in a string",
        "weir-field" => "a field such as \"level\" or \"$.a.b\"",
        "weir-template" => "a string, perhaps with placeholders",
        "weir-id" => "an id such as \"es\"",
        "weir-memory" => "a share such as \"80%\" or a size such as \"512MiB\"",
        "weir-chunk-key" => "\"tag\", \"time\" or a field such as \"$.a.b\"",
        "weir-zone" => "a time zone such as \"UTC\" or \"Asia/Seoul\"",
        "weir-tags" => "a tag pattern such as \"app.**\"",
        _ => return None,
    })
}

macro_rules! text_value {
    ($type:ty, $name:literal, $schema:tt) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = match serde_json::Value::deserialize(from)? {
                    serde_json::Value::String(text) => text,
                    other => other.to_string(),
                };
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

/// The id of a component: the name of its directories and the label of its metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Id(pub(super) String);

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_good = text.chars().all(allowed)
            && (1..=ID_MAX_BYTES).contains(&text.len())
            && !text.starts_with('.');
        if is_good {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "{text:?} is not an id; write up to {ID_MAX_BYTES} letters, digits, \"-\", \"_\" and \".\", the first no dot"
        ))
    }
}

text_value!(Id, "Id", { "type": "string", "format": "weir-id" });

/// Tag patterns in one string, separated by spaces. The patterns themselves are read with their places.
#[derive(Debug, Clone)]
pub(super) struct Tags;

impl FromStr for Tags {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        TagPattern::parse_list(text)
            .map(|_| Self)
            .map_err(|error| error.to_string())
    }
}

text_value!(Tags, "Tags", { "type": "string", "format": "weir-tags" });

/// How much memory what is in flight may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryMax {
    /// Of what the process may use: 1 to 100.
    Percent(u8),
    /// Bytes.
    Bytes(Size),
}

impl FromStr for MemoryMax {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let explain =
            || format!("{text:?} is not an amount of memory; write \"80%\" or \"512MiB\"");
        match text.trim().strip_suffix('%') {
            Some(percent) => match percent.trim().parse() {
                Ok(percent @ 1..=100) => Ok(Self::Percent(percent)),
                _ => Err(explain()),
            },
            None => text.parse().map(Self::Bytes).map_err(|_| explain()),
        }
    }
}

impl fmt::Display for MemoryMax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Bytes(size) => size.fmt(f),
        }
    }
}

impl Serialize for MemoryMax {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

text_value!(MemoryMax, "MemoryMax", { "type": ["string", "integer"], "format": "weir-memory" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_safe_as_names_of_directories() {
        for good in ["es", "audit-archive", "a.b_c", "0"] {
            assert!(good.parse::<Id>().is_ok(), "{good}");
        }
        let long = "x".repeat(ID_MAX_BYTES + 1);
        for bad in ["", "..", ".hidden", "a/b", "a b", "\u{e9}", &long] {
            assert!(bad.parse::<Id>().is_err(), "{bad}");
        }
    }

    #[test]
    fn memory_is_a_share_or_a_size() {
        assert_eq!("80%".parse(), Ok(MemoryMax::Percent(80)));
        assert_eq!("512MiB".parse(), Ok(MemoryMax::Bytes(Size::mib(512))));
        assert_eq!("1024".parse(), Ok(MemoryMax::Bytes(Size(1024))));
        for bad in ["0%", "101%", "80 percent", "%"] {
            assert!(bad.parse::<MemoryMax>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_format_is_checked_and_described() {
        for format in [
            "weir-id",
            "weir-memory",
            "weir-tags",
            "weir-duration",
            "weir-size",
            "weir-listen",
        ] {
            assert!(matches!(check(format, "/("), Some(Err(_))), "{format}");
            assert!(describe(format).is_some(), "{format}");
        }
        assert!(check("uint32", "x").is_none());
    }
}
