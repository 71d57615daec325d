//! The parameters that all parsers have, and what they come to: time, null and types of fields.

mod convert;
mod parameters;
#[cfg(test)]
mod tests;

use sdk::{
    config::{ConfigError, ConfigErrors, Pattern, Zone},
    event::Time,
    msgpack::{Reader, Token, write},
    parser::ParseError,
    plugin::BuildCx,
};

pub(crate) use convert::Convert;
pub use parameters::{Common, Types};
use times::{TimeType, Times, Wanted};

/// What a parser has where the configuration says nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defaults {
    pub(crate) time_key: Option<&'static str>,
    pub(crate) time_format: Option<&'static str>,
    /// Further forms, where the configuration names none at all.
    pub(crate) time_format_fallbacks: &'static [&'static str],
    pub(crate) keep_time_key: bool,
    /// Types of fields, which the configuration may override.
    pub(crate) types: &'static [(&'static str, &'static str)],
    /// A pattern of what is null.
    pub(crate) null_value_pattern: Option<&'static str>,
}

impl Defaults {
    /// Nothing in particular.
    pub(crate) const NONE: Self = Self {
        time_key: None,
        time_format: None,
        time_format_fallbacks: &[],
        keep_time_key: false,
        types: &[],
        null_value_pattern: None,
    };
}

/// The common parameters, ready to be applied.
#[derive(Debug)]
pub(crate) struct Rules {
    time_key: Option<Box<[u8]>>,
    /// Whether the configuration names the key of the time, so that a field there must be a time.
    is_time_wanted: bool,
    keep_time_key: bool,
    pub(crate) times: Times,
    nulls: Option<Pattern>,
    null_empty_string: bool,
    types: Vec<(Box<[u8]>, Convert)>,
}

/// A field whose name is known before: its encoded key and what becomes of its value.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) key: Vec<u8>,
    pub(crate) is_time: bool,
    pub(crate) convert: Option<usize>,
}

impl Rules {
    /// # Errors
    /// Every parameter that cannot be.
    pub(crate) fn compile(
        common: &Common,
        defaults: &Defaults,
        cx: &BuildCx,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let by_default = match common.time_type {
            None | Some(TimeType::String | TimeType::Mixed) => defaults.time_format,
            Some(_) => None,
        };
        let mut fallbacks = common.time_format_fallbacks.0.clone();
        if common.time_format.is_none() && by_default.is_some() {
            let more = defaults.time_format_fallbacks;
            fallbacks.extend(more.iter().map(|&text| text.to_owned()));
        }
        let wanted = Wanted {
            time_type: common.time_type,
            format: common.time_format.as_deref().or(by_default),
            fallbacks: &fallbacks,
            zone: zone(common),
        };
        let times = Times::compile(&wanted, &cx.clock)
            .map_err(|(key, message)| errors.push(ConfigError::at(format!("/{key}"), message)));
        let own = common.types.0.iter().map(|(key, kind)| (&**key, &**kind));
        let by_default = defaults.types.iter().copied();
        let by_default = by_default.filter(|(key, _)| !own.clone().any(|(own, _)| own == *key));
        let mut types = Vec::new();
        for (key, kind) in own.clone().chain(by_default) {
            match Convert::compile(kind, &wanted.zone, cx) {
                Ok(convert) => types.push((key.as_bytes().into(), convert)),
                Err(message) => {
                    let error =
                        ConfigError::at("/types", format!("the type of `{key}`: {message}"));
                    errors.push(error);
                }
            }
        }
        let by_default = || defaults.null_value_pattern?.parse().ok();
        let key = common.time_key.as_deref().or(defaults.time_key);
        let Ok(times) = times else { return Err(errors) };
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            time_key: key.map(|key| key.as_bytes().into()),
            is_time_wanted: common.time_key.is_some(),
            keep_time_key: common.keep_time_key.unwrap_or(defaults.keep_time_key),
            times,
            nulls: common.null_value_pattern.clone().or_else(by_default),
            null_empty_string: common.null_empty_string,
            types,
        })
    }

    /// What becomes of the field of this name.
    pub(crate) fn column(&self, name: &str) -> Column {
        let mut key = Vec::new();
        write::str(&mut key, name);
        Column {
            key,
            is_time: self.is_time(name.as_bytes()),
            convert: self
                .types
                .iter()
                .position(|(key, _)| **key == *name.as_bytes()),
        }
    }

    #[inline]
    pub(crate) fn is_time(&self, key: &[u8]) -> bool {
        self.time_key.as_deref() == Some(key)
    }

    /// Whether values are written as they are.
    pub(crate) fn is_plain(&self) -> bool {
        self.types.is_empty() && self.nulls.is_none() && !self.null_empty_string
    }

    /// Whether no field needs to be looked at.
    pub(crate) fn is_blind(&self) -> bool {
        self.time_key.is_none() && self.is_plain()
    }

    pub(crate) fn keeps_time_key(&self) -> bool {
        self.keep_time_key
    }

    #[inline]
    fn is_null(&self, text: &[u8]) -> bool {
        (self.null_empty_string && text.is_empty())
            || self
                .nulls
                .as_ref()
                .is_some_and(|nulls| nulls.is_match(text))
    }

    /// Writes a value that is text.
    #[inline]
    pub(crate) fn write_text(&self, out: &mut Vec<u8>, text: &[u8], convert: Option<usize>) {
        if self.is_null(text) {
            return write::nil(out);
        }
        match convert.and_then(|index| self.types.get(index)) {
            Some((_, convert)) => convert.write(out, text),
            None => write::str_bytes(out, text),
        }
    }

    /// The index of the type of a field whose name is not known before.
    #[inline]
    pub(crate) fn convert(&self, key: &[u8]) -> Option<usize> {
        self.types.iter().position(|(name, _)| **name == *key)
    }

    /// Changes the value that was appended to `out` from `from` on as the types say. nil stays nil.
    pub(crate) fn retype(&self, out: &mut Vec<u8>, from: usize, key: &[u8]) {
        let written = out.split_off(from);
        let convert = self.convert(key);
        match (Reader::new(&written).token(), convert) {
            (Ok(Token::Str(text) | Token::Bin(text)), convert) => {
                self.write_text(out, text, convert);
            }
            (Ok(Token::Int(_) | Token::UInt(_) | Token::F64(_) | Token::Bool(_)), Some(_)) => {
                let mut text = String::new();
                if let Ok(value) = sdk::msgpack::RawValue::parse(&written) {
                    let _complete = sdk::msgpack::write_text(value, &mut text);
                }
                if let Some((_, convert)) = convert.and_then(|index| self.types.get(index)) {
                    convert.write(out, text.as_bytes());
                }
            }
            _ => out.extend_from_slice(&written),
        }
    }

    /// The time that a field of text says.
    ///
    /// # Errors
    /// It is none, and must be one.
    #[inline]
    pub(crate) fn time_of_text(&self, text: &[u8]) -> Result<Time, ParseError> {
        self.times
            .read(text)
            .ok_or_else(|| ParseError::new("the time is not of the form that time_format says"))
    }

    /// The time that the value at the start of `written` says; `None` when it is none and need not be.
    ///
    /// # Errors
    /// It is none, and must be one.
    pub(crate) fn time_of_value(&self, written: &[u8]) -> Result<Option<Time>, ParseError> {
        let time = match Reader::new(written).token() {
            Ok(Token::Str(text) | Token::Bin(text)) => self.times.read(text),
            Ok(Token::Int(secs)) => self.times.integer(secs),
            Ok(Token::F64(secs)) => self.times.number(secs),
            Ok(token @ Token::Ext(..)) => Time::from_token(token).ok(),
            _ => None,
        };
        match time {
            None if self.is_time_wanted => Err(ParseError::new(
                "the field that time_key names is not of the form that time_format and time_type say",
            )),
            time => Ok(time),
        }
    }
}

fn zone(common: &Common) -> Zone {
    match &common.timezone {
        Some(zone) => zone.clone(),
        None if common.utc == Some(true) || common.localtime == Some(false) => Zone::UTC,
        None => Zone::LOCAL,
    }
}
