//! The parameters of `concat`, and which of them go together.

use schemars::JsonSchema;
use sdk::{
    config::{ConfigError, ConfigErrors, Interval, Pattern, Size},
    event::FieldPath,
};
use serde::Deserialize;

use super::mode::{MetadataFormat, Mode};
use crate::lines::{Limits, Shape};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, with Fluentd's name"
)]
pub struct Config {
    /// The field with the text that is joined. An event in which it is missing, or is no text, goes on as it is.
    pub key: String,
    /// What stands between two lines. The default is a line feed; where pieces of one line are joined (the
    /// parameters with `partial`), it is nothing.
    pub separator: Option<String>,
    /// This many events become one.
    pub n_lines: Option<usize>,
    /// Matches the first line of a message.
    pub multiline_start_regexp: Option<Pattern>,
    /// Matches the last line of a message.
    pub multiline_end_regexp: Option<Pattern>,
    /// Matches the lines that go on with a message. One that does not match ends it.
    pub continuous_line_regexp: Option<Pattern>,
    /// The field that tells streams apart, such as `container_id`. Only events of one tag and one stream are joined.
    pub stream_identity_key: Option<FieldPath>,
    /// How long a stream may be silent before what is held of it leaves. With 0 it waits for ever, and so does its
    /// sender for the acknowledgement.
    #[serde(default = "default_flush_interval")]
    pub flush_interval: Interval,
    /// What then becomes of the lines: `emit` sends them on behind this filter as one event, `error` sends each of
    /// them to the `ERROR` label.
    #[serde(default)]
    pub on_timeout: OnTimeout,
    /// Not needed here: `on_timeout` says what becomes of lines whose end did not come.
    pub timeout_label: Option<String>,
    /// The event has the time of its first line, and not that of its last.
    #[serde(default)]
    pub use_first_timestamp: bool,
    /// The field that tells that more pieces follow. Needs `partial_value`.
    pub partial_key: Option<String>,
    /// What `partial_key` says while more pieces follow.
    pub partial_value: Option<String>,
    /// Keep `partial_key`, or the tag of the container runtime, in the joined event.
    #[serde(default)]
    pub keep_partial_key: bool,
    /// Join by the fields that Docker adds to the pieces of a long line.
    #[serde(default)]
    pub use_partial_metadata: bool,
    /// Keep these fields in the joined event.
    #[serde(default)]
    pub keep_partial_metadata: bool,
    /// How these fields are named.
    #[serde(default)]
    pub partial_metadata_format: MetadataFormat,
    /// Join by the tag of a container runtime (CRI): `P` while more pieces follow, `F` for the last one.
    #[serde(default)]
    pub use_partial_cri_logtag: bool,
    /// The field with this tag.
    #[serde(default = "default_partial_cri_logtag_key")]
    pub partial_cri_logtag_key: String,
    /// The field that tells standard output from standard error.
    #[serde(default = "default_partial_cri_stream_key")]
    pub partial_cri_stream_key: String,
    /// Most lines of one event. With more, it leaves as several events.
    #[serde(default = "default_max_lines")]
    pub max_lines: usize,
    /// Most bytes of one event. With more, it leaves as several events.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: Size,
    /// Most streams that hold lines. With more, the one that was silent longest lets go.
    #[serde(default = "default_max_streams")]
    pub max_streams: usize,
    /// Most bytes that are held. With more, the streams that were silent longest let go.
    #[serde(default = "default_max_total_bytes")]
    pub max_total_bytes: Size,
}

/// What becomes of lines whose end did not come in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// They go on as one event.
    #[default]
    Emit,
    /// They go to the `ERROR` label as they came.
    Error,
}

fn default_flush_interval() -> Interval {
    Interval::secs(60)
}

fn default_partial_cri_logtag_key() -> String {
    "logtag".into()
}

fn default_partial_cri_stream_key() -> String {
    "stream".into()
}

fn default_max_lines() -> usize {
    10_000
}

fn default_max_bytes() -> Size {
    Size::mib(8)
}

fn default_max_streams() -> usize {
    10_000
}

fn default_max_total_bytes() -> Size {
    Size::mib(64)
}

impl Config {
    pub(super) fn limits(&self) -> Limits {
        let idle = self.flush_interval.0;
        Limits {
            lines: self.max_lines,
            bytes: self.max_bytes.as_usize(),
            streams: self.max_streams,
            total_bytes: self.max_total_bytes.as_usize(),
            idle: (!idle.is_zero()).then_some(idle),
        }
    }

    pub(super) fn shape(&self, mode: &Mode) -> Shape {
        let separator = match mode {
            Mode::Count(_) | Mode::Patterns { .. } => "\n",
            _ => "",
        };
        let (mut remove, mut ordinal) = (Vec::new(), None);
        match mode {
            Mode::Field { key, .. } | Mode::Cri { logtag: key, .. } if !self.keep_partial_key => {
                remove.push(key.clone());
            }
            Mode::Metadata(fields) => {
                ordinal = Some(fields.ordinal.to_owned());
                if !self.keep_partial_metadata {
                    remove.extend(fields.names().map(str::to_owned));
                }
            }
            _ => {}
        }
        Shape {
            separator: self.separator.as_deref().unwrap_or(separator).to_owned(),
            ends_once: false,
            first_time: self.use_first_timestamp,
            remove,
            ordinal,
        }
    }

    /// The one way of joining that is asked for.
    ///
    /// # Errors
    /// Where there is none or more than one, or one lacks what it needs.
    pub(super) fn mode(&self) -> Result<Mode, ConfigErrors> {
        let mut errors = self.mistakes();
        let mut modes = self.modes();
        match modes.len() {
            0 if errors.is_empty() => {
                let error = ConfigError::at("", "concat is not told which events to join");
                errors.push(error.help(
                    "write one of `n_lines`, `multiline_start_regexp`, `multiline_end_regexp`, `partial_key`, \
                     `use_partial_metadata` or `use_partial_cri_logtag`",
                ));
            }
            0 | 1 => {}
            _ => {
                let names: Vec<_> = modes.iter().map(|(name, _)| format!("`{name}`")).collect();
                let message = format!("{} exclude each other", names.join(" and "));
                let last = modes.last().map_or("", |(name, _)| *name);
                let error = ConfigError::at(format!("/{last}"), message);
                errors.push(error.help("keep one; for several rules, write several filters"));
            }
        }
        match modes.pop() {
            Some((_, mode)) if errors.is_empty() => Ok(mode),
            _ => Err(errors),
        }
    }

    /// Every way of joining that is asked for, with the parameter that asks.
    fn modes(&self) -> Vec<(&'static str, Mode)> {
        let mut modes = Vec::new();
        if let Some(lines) = self.n_lines {
            modes.push(("n_lines", Mode::Count(lines)));
        }
        let (start, end) = (&self.multiline_start_regexp, &self.multiline_end_regexp);
        if start.is_some() || end.is_some() {
            let name = match start {
                Some(_) => "multiline_start_regexp",
                None => "multiline_end_regexp",
            };
            let mode = Mode::Patterns {
                start: start.clone(),
                end: end.clone(),
                continues: self.continuous_line_regexp.clone(),
            };
            modes.push((name, mode));
        }
        if let (Some(key), Some(value)) = (&self.partial_key, &self.partial_value) {
            let (key, value) = (key.clone(), value.clone());
            modes.push(("partial_key", Mode::Field { key, value }));
        }
        if self.use_partial_metadata {
            let mode = Mode::Metadata(self.partial_metadata_format.fields());
            modes.push(("use_partial_metadata", mode));
        }
        if self.use_partial_cri_logtag {
            let mode = Mode::Cri {
                logtag: self.partial_cri_logtag_key.clone(),
                stream: self.partial_cri_stream_key.clone(),
            };
            modes.push(("use_partial_cri_logtag", mode));
        }
        modes
    }

    /// What is wrong whatever the way of joining.
    fn mistakes(&self) -> ConfigErrors {
        let mut errors = Vec::new();
        let mut wrong = |path: &str, message: &str, help: &str| {
            errors.push(ConfigError::at(path, message).help(help));
        };
        if self.timeout_label.is_some() {
            wrong(
                "/timeout_label",
                "lines whose end does not come go on behind this filter, so no label is needed for them",
                "leave it out, or write on_timeout = \"error\" to send them to the ERROR label",
            );
        }
        if self.partial_key.is_some() != self.partial_value.is_some() {
            wrong(
                "/partial_key",
                "`partial_key` and `partial_value` need each other",
                "write both, as in partial_key = \"partial_message\" and partial_value = \"true\"",
            );
        }
        let has_pattern =
            self.multiline_start_regexp.is_some() || self.multiline_end_regexp.is_some();
        if self.continuous_line_regexp.is_some() && !has_pattern {
            wrong(
                "/continuous_line_regexp",
                "`continuous_line_regexp` alone does not tell where a message begins",
                "write `multiline_start_regexp` too",
            );
        }
        let limits = [
            ("/n_lines", self.n_lines.unwrap_or(1)),
            ("/max_lines", self.max_lines),
            ("/max_streams", self.max_streams),
            ("/max_bytes", self.max_bytes.as_usize()),
            ("/max_total_bytes", self.max_total_bytes.as_usize()),
        ];
        for (path, limit) in limits {
            if limit == 0 {
                wrong(path, "0 would let nothing be joined", "write 1 or more");
            }
        }
        errors
    }
}
