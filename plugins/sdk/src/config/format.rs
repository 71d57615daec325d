//! The `format` keyword of our schemas: how the checker judges text without building anything.

use std::str::FromStr;

use super::{ChunkKey, Interval, Listen, Pattern, Size, Template, Zone};
use crate::event::FieldPath;

/// Checks `text` against a format of this module. `None` when the format is not ours.
pub fn check(format: &str, text: &str) -> Option<Result<(), String>> {
    fn by<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<(), String> {
        text.parse::<T>()
            .map(drop)
            .map_err(|error| error.to_string())
    }
    Some(match format {
        "weir-duration" => by::<Interval>(text),
        "weir-size" => by::<Size>(text),
        "weir-listen" => by::<Listen>(text),
        "weir-pattern" => by::<Pattern>(text),
        "weir-field" => by::<FieldPath>(text),
        "weir-template" => by::<Template>(text),
        "weir-chunk-key" => by::<ChunkKey>(text),
        "weir-zone" => by::<Zone>(text),
        "weir-secret" => Ok(()),
        _ => return None,
    })
}

/// Implements `Deserialize` (from a string) and `JsonSchema` for a type that parses from text.
macro_rules! text_value {
    ($type:ty, $name:literal, $format:literal) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "format": $format })
            }
        }
    };
}

/// The same for a type that also takes a bare number.
macro_rules! number_or_text_value {
    ($type:ty, $name:literal, $format:literal) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                match <serde_json::Value as serde::Deserialize>::deserialize(from)? {
                    serde_json::Value::String(text) => text.parse(),
                    other => other.to_string().parse(),
                }
                .map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": ["string", "number"], "format": $format })
            }
        }
    };
}

pub(super) use {number_or_text_value, text_value};

text_value!(FieldPath, "FieldPath", "weir-field");

/// Writes a value as one would write it in a configuration, so that schemas and manuals show defaults.
macro_rules! shown_value {
    ($($type:ty),*) => {
        $(impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        })*
    };
}

shown_value!(ChunkKey, Interval, Listen, Size, Zone);
