//! Output `stdout`: one line per event on standard output.

mod line;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use schemars::JsonSchema;
use sdk::{
    Fut,
    config::{self, ConfigErrors, FormatterTable, Zone},
    formatter::Formatter,
    output::{ChunkView, Failure, FailureKind, Outcome, Output, Verdict},
    plugin::{Build, BuildCx, DefaultBuffer, Descriptor, Stability},
};
use serde::Deserialize;

use line::Lines;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "stdout",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Writes one line per event on standard output",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Output(build, DefaultBuffer::Memory),
};

/// The parameters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `stdout` writes time, tag and the record as JSON, as Fluentd does; `json` writes one JSON object. Or a table with
    /// the `type` of a formatter and its parameters.
    #[serde(default)]
    pub format: Formatting,
    /// The zone of the time in front of a line of format `stdout`. The format `json` always has UTC.
    #[serde(default = "default_timezone")]
    pub timezone: Zone,
    /// Format `json`: put the time of the event in the object.
    #[serde(default = "default_include")]
    pub include_time_key: bool,
    /// Format `json`: the name of the field with the time. A field of the record with this name gets `_` at its end.
    #[serde(default = "default_time_key")]
    pub time_key: String,
    /// Format `json`: put the tag in the object.
    #[serde(default = "default_include")]
    pub include_tag_key: bool,
    /// Format `json`: the name of the field with the tag. A field of the record with this name gets `_` at its end.
    #[serde(default = "default_tag_key")]
    pub tag_key: String,
}

/// How an event is written: in one of two forms of this output, or by a formatter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Formatting {
    /// A form that this output has.
    Own(Format),
    /// A formatter with its parameters.
    Table(FormatterTable),
}

impl Default for Formatting {
    fn default() -> Self {
        Self::Own(Format::default())
    }
}

/// The forms that this output has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `2026-01-02 03:04:05.000000000 +0000 tag: {...}`
    #[default]
    Stdout,
    /// `{"time":"...","tag":"...",...}`
    Json,
}

fn default_timezone() -> Zone {
    Zone::LOCAL
}

fn default_include() -> bool {
    true
}

fn default_time_key() -> String {
    "time".into()
}

fn default_tag_key() -> String {
    "tag".into()
}

/// Where the lines go: standard output, or memory in tests.
type Stream = Arc<Mutex<dyn Write + Send>>;

struct Stdout {
    config: Config,
    /// Writes the lines in place of one of the forms that this output has.
    formatter: Option<Arc<dyn Formatter>>,
    stream: Stream,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Output>, ConfigErrors> {
    let config = config::parse(params)?;
    let stream = Arc::new(Mutex::new(io::stdout()));
    Ok(Arc::new(Stdout::new(config, stream, cx)?))
}

impl Stdout {
    fn new(config: Config, stream: Stream, cx: &BuildCx) -> Result<Self, ConfigErrors> {
        let formatter = match &config.format {
            Formatting::Own(_) => None,
            Formatting::Table(table) => Some(cx.formatter("/format", table)?),
        };
        Ok(Self {
            config,
            formatter,
            stream,
        })
    }

    /// The lines of a chunk, and the records that cannot be written.
    fn render(&self, chunk: ChunkView<'_>) -> (Vec<u8>, Vec<(u32, Verdict)>) {
        let (mut text, mut rejected) = (Vec::new(), Vec::new());
        let mut lines = Lines::new(&self.config, self.formatter.as_deref());
        let mut first = 0;
        for frame in chunk.frames {
            lines.start_frame(&frame.tag);
            let events = frame.entries().map_while(Result::ok);
            for (index, event) in (first..).zip(events) {
                if !chunk.is_live(index) {
                    continue;
                }
                if let Err(error) = lines.write(&mut text, &frame.tag, &event) {
                    let failure = Failure::new(FailureKind::Serialize, error.to_string());
                    rejected.push((index, Verdict::Reject(failure)));
                }
            }
            first += frame.count;
        }
        (text, rejected)
    }

    /// Writes off the async threads: a terminal or a pipe may block.
    async fn print(&self, text: Vec<u8>) -> io::Result<()> {
        let stream = Arc::clone(&self.stream);
        let print = move || {
            let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
            stream.write_all(&text)?;
            stream.flush()
        };
        tokio::task::spawn_blocking(print)
            .await
            .map_err(io::Error::other)?
    }
}

impl Output for Stdout {
    fn write<'a>(&'a self, chunk: ChunkView<'a>) -> Fut<'a, Outcome> {
        Box::pin(async move {
            let (text, rejected) = self.render(chunk);
            match self.print(text).await {
                Err(error) => {
                    let message = format!("cannot write to standard output: {error}");
                    Outcome::RetryChunk(None, Failure::new(FailureKind::Io, message))
                }
                Ok(()) if rejected.is_empty() => Outcome::Delivered,
                Ok(()) => Outcome::Except(rejected),
            }
        })
    }
}
