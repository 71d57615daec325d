//! A few plugins for the tests of this room: named like real ones, so that messages read as they would.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use schemars::JsonSchema;
use sdk::{
    Fut, RunError,
    config::{
        self, ConfigError, ConfigErrors, FormatterTable, Listen, OneOrMany, ParserTable, Pattern,
        Secret, Size, Template,
    },
    event::{Batch, Edit, FieldPath, RawEvent, Tag, Time},
    filter::Filter,
    formatter::{FormatError, Formatter},
    input::{Input, InputCx},
    output::{ChunkView, Outcome, Output},
    parser::{ParseError, Parser},
    plugin::{Build, BuildCx, DefaultBuffer, Descriptor, Stability},
    stateful::{Outbox, StatefulFilter},
    stop::Stop,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Registry;

/// All of them.
pub(super) static PLUGINS: Registry = &[
    &GREP,
    &RECORD_TRANSFORMER,
    &FORWARD,
    &SAMPLE,
    &ELASTICSEARCH,
    &FILE,
    &NULL,
    &STDOUT,
    &TAIL,
    &JSON,
    &MULTI_FORMAT,
    &CSV,
    &REDACT,
    &CONCAT,
];

const BASE: Descriptor = Descriptor {
    name: "",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Made up",
    schema: || Value::Null,
    build: Build::Filter(|_, _| Err(Vec::new())),
};

fn schema<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

fn input<T: for<'de> Deserialize<'de>>(
    params: Value,
    _: &BuildCx,
) -> Result<Box<dyn Input>, ConfigErrors> {
    config::parse::<T>(params).map(|_| -> Box<dyn Input> { Box::new(Idle) })
}

fn output<T: for<'de> Deserialize<'de>>(
    params: Value,
    _: &BuildCx,
) -> Result<Arc<dyn Output>, ConfigErrors> {
    config::parse::<T>(params).map(|_| -> Arc<dyn Output> { Arc::new(Idle) })
}

fn filter<T: for<'de> Deserialize<'de>>(
    params: Value,
    _: &BuildCx,
) -> Result<Arc<dyn Filter>, ConfigErrors> {
    config::parse::<T>(params).map(|_| -> Arc<dyn Filter> { Arc::new(Idle) })
}

#[derive(Debug)]
struct Idle;

impl Input for Idle {
    fn run(self: Box<Self>, _: InputCx, _: Stop) -> Fut<'static, Result<(), RunError>> {
        Box::pin(async { Ok(()) })
    }
}

impl Filter for Idle {
    fn filter(&self, _: &mut Edit<'_>) {}
}

impl Output for Idle {
    fn write<'a>(&'a self, _: ChunkView<'a>) -> Fut<'a, Outcome> {
        Box::pin(async { Outcome::Delivered })
    }
}

impl Parser for Idle {
    fn parse(&self, _: &[u8], _: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
        Err(ParseError::new("made up"))
    }
}

impl StatefulFilter for Idle {
    fn filter(&mut self, _: &Batch, _: Instant, _: &mut Outbox) {}
}

impl Formatter for Idle {
    fn format(&self, _: &Tag, _: &RawEvent<'_>, _: &mut Vec<u8>) -> Result<(), FormatError> {
        Ok(())
    }
}

static FORWARD: Descriptor = Descriptor {
    name: "forward",
    schema: schema::<Forward>,
    build: Build::Input(input::<Forward>),
    ..BASE
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read from a configuration")]
struct Forward {
    /// Where to listen.
    #[serde(default = "forward_listen")]
    listen: Listen,
    /// Connections at the same time.
    #[serde(default = "max_connections")]
    #[schemars(range(min = 1, max = 65_536))]
    max_connections: u32,
    /// Largest message.
    max_message_size: Option<Size>,
    /// Who may connect.
    security: Option<Security>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read from a configuration")]
struct Security {
    /// The key that both sides know.
    shared_key: Secret,
}

fn forward_listen() -> Listen {
    Listen(([0, 0, 0, 0], 24_224).into())
}

fn max_connections() -> u32 {
    1_024
}

static SAMPLE: Descriptor = Descriptor {
    name: "sample",
    aliases: &["dummy"],
    schema: schema::<Sample>,
    build: Build::Input(input::<Sample>),
    ..BASE
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read from a configuration")]
struct Sample {
    /// The tag of the events.
    tag: String,
    /// Batches per second.
    #[serde(default = "rate")]
    #[schemars(range(min = 1, max = 1_000_000))]
    rate: u32,
}

fn rate() -> u32 {
    1
}

static GREP: Descriptor = Descriptor {
    name: "grep",
    schema: schema::<Grep>,
    build: Build::Filter(grep),
    ..BASE
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Grep {
    /// An event is kept only when all of these match.
    #[serde(default)]
    regexp: OneOrMany<Rule>,
    /// An event is dropped when any of these matches.
    #[serde(default)]
    exclude: OneOrMany<Rule>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read from a configuration")]
struct Rule {
    /// The field.
    key: FieldPath,
    /// What it must look like.
    pattern: Pattern,
}

fn grep(params: Value, cx: &BuildCx) -> Result<Arc<dyn Filter>, ConfigErrors> {
    let grep: Grep = config::parse(params.clone())?;
    if grep.regexp.0.is_empty() && grep.exclude.0.is_empty() {
        let error = ConfigError::at("", "there is no condition, so it keeps every event");
        return Err(vec![error.help("write `regexp` or `exclude`")]);
    }
    filter::<Grep>(params, cx)
}

static RECORD_TRANSFORMER: Descriptor = Descriptor {
    name: "record_transformer",
    schema: schema::<RecordTransformer>,
    build: Build::Filter(record_transformer),
    ..BASE
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read from a configuration")]
struct RecordTransformer {
    /// The fields to set.
    #[serde(default)]
    record: BTreeMap<String, Value>,
    /// Fields to remove.
    #[serde(default)]
    remove_keys: OneOrMany<FieldPath>,
    /// Keep the type of a value that is exactly one placeholder.
    #[serde(default)]
    auto_typecast: bool,
}

fn record_transformer(params: Value, cx: &BuildCx) -> Result<Arc<dyn Filter>, ConfigErrors> {
    let empty = serde_json::Map::new();
    let fields = params
        .get("record")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let mut errors = Vec::new();
    for (key, value) in fields {
        let text = value.as_str().unwrap_or_default();
        if let Err(error) = text.parse::<Template>() {
            errors.push(ConfigError::at(format!("/record/{key}"), error.to_string()));
        }
    }
    if errors.is_empty() {
        filter::<RecordTransformer>(params, cx)
    } else {
        Err(errors)
    }
}

static ELASTICSEARCH: Descriptor = Descriptor {
    name: "elasticsearch",
    aliases: &["opensearch"],
    schema: schema::<Elasticsearch>,
    build: Build::Output(output::<Elasticsearch>, DefaultBuffer::File),
    ..BASE
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read from a configuration")]
struct Elasticsearch {
    /// The servers.
    #[schemars(length(min = 1))]
    hosts: Vec<String>,
    /// The index of a record.
    #[schemars(extend("aliases" = ["index_name"]))]
    index: Option<Template>,
    /// The user.
    user: Option<String>,
    /// The password of the user.
    password: Option<Secret>,
    /// What the server does with a record.
    #[serde(default)]
    op_type: OpType,
    /// Largest request.
    bulk_message_request_threshold: Option<Size>,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OpType {
    #[default]
    Index,
    Create,
}

static FILE: Descriptor = Descriptor {
    name: "file",
    schema: schema::<File>,
    build: Build::Output(output::<File>, DefaultBuffer::File),
    ..BASE
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read from a configuration")]
struct File {
    /// The file.
    #[schemars(extend("exclusive" = true))]
    path: Template,
    /// How lines look.
    format: Option<Format>,
    /// Whether it waits for the disk.
    #[serde(default = "yes")]
    #[schemars(extend("weakens" = false))]
    sync: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
#[expect(dead_code, reason = "only read from a configuration")]
enum Format {
    /// One object per line.
    Json,
    /// Values between commas.
    Csv {
        /// The fields, in order.
        fields: Vec<String>,
    },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

static NULL: Descriptor = Descriptor {
    name: "null",
    schema: schema::<Nothing>,
    build: Build::Output(output::<Nothing>, DefaultBuffer::Memory),
    ..BASE
};

static STDOUT: Descriptor = Descriptor {
    name: "stdout",
    schema: schema::<Nothing>,
    build: Build::Output(output::<Nothing>, DefaultBuffer::Memory),
    ..BASE
};

static TAIL: Descriptor = Descriptor {
    name: "tail",
    schema: schema::<Tail>,
    build: Build::Input(|params, cx| {
        let Tail { parse, format, .. } = config::parse(params)?;
        cx.parser("/parse", &parse)?;
        if let Some(format) = format {
            cx.formatter("/format", &format)?;
        }
        Ok(Box::new(Idle))
    }),
    ..BASE
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tail {
    /// How lines are read.
    parse: ParserTable,
    /// How lines are written again.
    format: Option<FormatterTable>,
    /// Whether files are read from their beginning.
    #[serde(default)]
    #[expect(dead_code, reason = "only read from a configuration")]
    read_from_head: bool,
}

static JSON: Descriptor = Descriptor {
    name: "json",
    schema: schema::<Json>,
    build: Build::Parser(parser::<Json>),
    ..BASE
};

fn parser<T: for<'de> Deserialize<'de>>(
    params: Value,
    _: &BuildCx,
) -> Result<Arc<dyn Parser>, ConfigErrors> {
    config::parse::<T>(params).map(|_| -> Arc<dyn Parser> { Arc::new(Idle) })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read from a configuration")]
struct Json {
    /// The field with the time.
    #[serde(default)]
    time_key: Option<FieldPath>,
}

static MULTI_FORMAT: Descriptor = Descriptor {
    name: "multi_format",
    schema: schema::<MultiFormat>,
    build: Build::Parser(|params, cx| {
        let MultiFormat { pattern } = config::parse(params)?;
        for (index, table) in pattern.iter().enumerate() {
            cx.parser(&format!("/pattern/{index}"), table)?;
        }
        Ok(Arc::new(Idle))
    }),
    ..BASE
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MultiFormat {
    /// The parsers, in order.
    pattern: Vec<ParserTable>,
}

static CSV: Descriptor = Descriptor {
    name: "csv",
    schema: schema::<Csv>,
    build: Build::Formatter(|params, _| {
        config::parse::<Csv>(params).map(|_| -> Arc<dyn Formatter> { Arc::new(Idle) })
    }),
    ..BASE
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read from a configuration")]
struct Csv {
    /// The fields, in order.
    fields: Vec<String>,
}

static REDACT: Descriptor = Descriptor {
    name: "redact",
    schema: schema::<Redact>,
    build: Build::Filter(filter::<Redact>),
    ..BASE
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("protects" = true))]
struct Redact {}

static CONCAT: Descriptor = Descriptor {
    name: "concat",
    schema: schema::<Nothing>,
    build: Build::Stateful(|params, _| {
        config::parse::<Nothing>(params).map(|_| -> Box<dyn StatefulFilter> { Box::new(Idle) })
    }),
    ..BASE
};
