//! Parser `syslog`: messages of RFC 3164 and RFC 5424.

mod rfc3164;
mod rfc5424;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors},
    event::Time,
    parser::{ParseError, Parser},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::{
    fields::Fields,
    rules::{Column, Common, Defaults, Rules},
};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "syslog",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Reads messages of RFC 3164 and RFC 5424",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// Whether the text begins with a priority such as `<34>`, which becomes the field `pri`. Without it, a priority
    /// that is there is stepped over.
    #[serde(default)]
    pub with_priority: bool,
    /// The form of the messages; `auto` looks at each.
    #[serde(default)]
    pub message_format: MessageFormat,
    /// The form of the time of RFC 5424.
    #[serde(default = "default_rfc5424_time_format")]
    pub rfc5424_time_format: String,
    /// Has no use here: there is one reader for each form.
    pub parser_type: Option<Reader>,
    /// Another name of `parser_type`.
    pub parser_engine: Option<Reader>,
    /// In RFC 3164, take a first word without a colon for the name of the program.
    #[serde(default = "yes")]
    pub support_colonless_ident: bool,
    /// Those of every parser. The time is that of the message; `time_key` names the field for it with
    /// `keep_time_key`. `time_format` is `%b %d %H:%M:%S` by default, and ISO 8601 is read too.
    #[serde(flatten)]
    pub common: Common,
}

/// The form of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageFormat {
    /// `Jan 10 11:59:59 host program[7]: text`
    #[default]
    Rfc3164,
    /// `1 2026-01-10T11:59:59.123Z host program 7 id [data] text`
    Rfc5424,
    /// Each message as it looks: RFC 5424 has a version behind the priority.
    Auto,
}

/// Fluentd's two readers.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    /// By an expression.
    Regexp,
    /// By looking for blanks.
    String,
}

fn default_rfc5424_time_format() -> String {
    "%Y-%m-%dT%H:%M:%S.%L%z".into()
}

fn yes() -> bool {
    true
}

/// The fields that a message may have.
struct Columns {
    pri: Column,
    host: Column,
    ident: Column,
    pid: Column,
    msgid: Column,
    extradata: Column,
    message: Column,
    time: Column,
}

struct Syslog {
    format: MessageFormat,
    with_priority: bool,
    colonless: bool,
    /// How many words a time of RFC 3164 has.
    time_words: usize,
    rfc3164: Rules,
    rfc5424: Rules,
    columns: Columns,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let defaults = Defaults {
        time_format: Some("%b %d %H:%M:%S"),
        time_format_fallbacks: &["%b %d %H:%M:%S.%N", "%b %d %Y %H:%M:%S"],
        ..Defaults::NONE
    };
    let old = Rules::compile(&config.common, &defaults, cx);
    let mut common = config.common.clone();
    if common.time_format.is_none() || config.message_format == MessageFormat::Auto {
        common.time_format = Some(config.rfc5424_time_format.clone());
        common.time_format_fallbacks.0.push("%iso8601".to_owned());
    }
    let new = Rules::compile(&common, &Defaults::NONE, cx).map_err(|errors| {
        let place = |error: ConfigError| match error.path.as_str() {
            "/time_format" if config.common.time_format.is_none() => ConfigError {
                path: "/rfc5424_time_format".to_owned(),
                ..error
            },
            _ => error,
        };
        errors.into_iter().map(place).collect::<Vec<_>>()
    });
    let (rfc3164, rfc5424) = match (old, new) {
        (Ok(old), Ok(new)) => (old, new),
        (old, new) => {
            let mut errors = old.err().unwrap_or_default();
            for error in new.err().unwrap_or_default() {
                if !errors.contains(&error) {
                    errors.push(error);
                }
            }
            return Err(errors);
        }
    };
    let time_format = config.common.time_format.as_deref();
    Ok(Arc::new(Syslog {
        format: config.message_format,
        with_priority: config.with_priority,
        colonless: config.support_colonless_ident,
        time_words: time_format.map_or(3, |format| format.split_ascii_whitespace().count()),
        columns: Columns::new(&rfc3164, config.common.time_key.as_deref()),
        rfc3164,
        rfc5424,
    }))
}

impl Columns {
    fn new(rules: &Rules, time_key: Option<&str>) -> Self {
        let column = |name: &str| Column {
            is_time: false,
            ..rules.column(name)
        };
        Self {
            pri: column("pri"),
            host: column("host"),
            ident: column("ident"),
            pid: column("pid"),
            msgid: column("msgid"),
            extradata: column("extradata"),
            message: column("message"),
            time: column(time_key.unwrap_or("time")),
        }
    }
}

impl Parser for Syslog {
    fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let (pri, rest) = priority(text);
        if self.with_priority && pri.is_none() {
            return Err(ParseError::new("the message has no priority such as <34>"));
        }
        let versioned = rfc5424::behind_version(rest).filter(|_| pri.is_some());
        let is_new = match self.format {
            MessageFormat::Rfc3164 => false,
            MessageFormat::Rfc5424 => true,
            MessageFormat::Auto => versioned.is_some(),
        };
        let pri = pri.filter(|_| self.with_priority);
        if is_new {
            rfc5424::Message::read(versioned.unwrap_or(rest))?.write(self, pri, record)
        } else {
            rfc3164::Message::read(rest, self)?.write(self, pri, record)
        }
    }
}

impl Columns {
    /// Begins a record with what stands first in both forms.
    fn begin<'r, 'o>(
        &self,
        rules: &'r Rules,
        record: &'o mut Vec<u8>,
        pri: Option<u64>,
    ) -> Fields<'r, 'o> {
        let mut fields = Fields::begin(rules, record);
        if let Some(pri) = pri {
            fields.number(&self.pri, pri);
        }
        fields
    }
}

/// The number in `<34>`, and what is behind it.
fn priority(text: &[u8]) -> (Option<u64>, &[u8]) {
    let inner = || {
        let rest = text.strip_prefix(b"<")?;
        let end = rest.iter().take(4).position(|byte| *byte == b'>')?;
        let (digits, rest) = rest.split_at_checked(end)?;
        let number = digits.iter().try_fold(0_u64, |number, byte| {
            byte.is_ascii_digit()
                .then(|| number * 10 + u64::from(byte - b'0'))
        })?;
        (!digits.is_empty()).then_some((number, rest.get(1..).unwrap_or_default()))
    };
    match inner() {
        Some((number, rest)) => (Some(number), rest),
        None => (None, text),
    }
}

/// A word and what is behind the blank that ends it; `None` when there is no blank.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', text)?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}
