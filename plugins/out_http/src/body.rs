//! How records are written into bodies, and how bodies are compressed.

use std::{io::Write as _, ops::Range, sync::Arc};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use sdk::{
    config::{ConfigError, ConfigErrors, FormatterTable},
    event::{RawEvent, Tag},
    formatter::Formatter,
    json::{Clash, Lead, Writer},
    msgpack::{RawValue, write},
    output::{Failure, FailureKind},
    plugin::BuildCx,
};

use crate::{Compress, Config};

/// Level of zstd: its own default.
const ZSTD_LEVEL: i32 = 3;

/// What a body is made of.
#[derive(Debug)]
pub(crate) enum Format {
    /// An object per line.
    Lines,
    /// One array of objects.
    Array,
    /// Maps back to back.
    MessagePack,
    /// What the formatter of this name writes.
    Other(String),
}

/// How a record is written.
pub(crate) struct Layout {
    pub(crate) format: Format,
    /// Set when the table `format` asks for more than the format itself.
    formatter: Option<Arc<dyn Formatter>>,
    time_key: Option<String>,
    tag_key: Option<String>,
}

impl Layout {
    /// `None` when it pushed errors.
    pub(crate) fn new(config: &Config, cx: &BuildCx, errors: &mut ConfigErrors) -> Option<Self> {
        let before = errors.len();
        let table = config.format.as_ref();
        let name = table.map_or("json", |table| table.type_name());
        let format = match name {
            "json" if config.json_array => Format::Array,
            "json" => Format::Lines,
            "msgpack" => Format::MessagePack,
            name => Format::Other(name.to_owned()),
        };
        // Without parameters these two are written here, straight from the slice.
        let is_other = |table: &&FormatterTable| {
            matches!(format, Format::Other(_)) || **table != FormatterTable::of(name)
        };
        let formatter = table
            .filter(is_other)
            .map(|table| cx.formatter("/format", table));
        let formatter = match formatter.transpose() {
            Ok(formatter) => formatter,
            Err(found) => {
                errors.extend(found);
                return None;
            }
        };
        if config.json_array && !matches!(format, Format::Array) {
            let error = ConfigError::at("/json_array", "stands beside another format");
            errors.push(error.help("leave it out, or the table \"format\""));
        }
        if formatter.is_some() {
            let keys = [
                ("/time_key", &config.time_key),
                ("/tag_key", &config.tag_key),
            ];
            for (path, _) in keys.into_iter().filter(|(_, key)| key.is_some()) {
                let error = ConfigError::at(path, "is not written by this format");
                errors.push(error.help("give it to the formatter, in [match.format]"));
            }
        }
        (errors.len() == before).then(|| Self {
            format,
            formatter,
            time_key: config.time_key.clone(),
            tag_key: config.tag_key.clone(),
        })
    }

    /// For the records of one tag.
    pub(crate) fn scribe<'a>(&'a self, tag: &'a Tag) -> Scribe<'a> {
        let mut lead = Lead::new();
        if let Some(key) = &self.time_key {
            lead = lead.time(key);
        }
        if let Some(key) = &self.tag_key {
            lead = lead.string(key, tag.as_str());
        }
        Scribe {
            layout: self,
            tag,
            lead,
            writer: Writer::default(),
        }
    }
}

/// Writes the records of one tag.
pub(crate) struct Scribe<'a> {
    layout: &'a Layout,
    tag: &'a Tag,
    lead: Lead,
    writer: Writer,
}

impl Scribe<'_> {
    /// Appends a record and returns where it stands.
    ///
    /// # Errors
    /// It cannot be written; `out` is then as it was.
    pub(crate) fn write(
        &mut self,
        event: &RawEvent<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Range<usize>, Failure> {
        let start = out.len();
        let layout = self.layout;
        let written = match (&layout.formatter, &layout.format) {
            (Some(formatter), format) => {
                let outcome = formatter.format(self.tag, event, out);
                // What stands between records is written when they are joined.
                if matches!(format, Format::Lines | Format::Array) && out.last() == Some(&b'\n') {
                    out.pop();
                }
                outcome.map_err(|error| error.to_string())
            }
            (None, Format::MessagePack | Format::Other(_)) => {
                self.message_pack(event, out);
                Ok(())
            }
            (None, Format::Lines | Format::Array) => {
                if layout.time_key.is_some() {
                    self.lead.set_time(event.time);
                }
                // What the record says itself gives way to its true time and tag.
                let mut clash = |_: &str, _: RawValue<'_>| Clash::Lead;
                let record = self
                    .writer
                    .record(out, &self.lead, event.record, &mut clash);
                record.map_err(|error| error.to_string())
            }
        };
        match written {
            Ok(()) => Ok(start..out.len()),
            Err(message) => {
                out.truncate(start);
                Err(Failure::new(FailureKind::Serialize, message))
            }
        }
    }

    fn message_pack(&self, event: &RawEvent<'_>, out: &mut Vec<u8>) {
        let (time, tag) = (
            self.layout.time_key.as_deref(),
            self.layout.tag_key.as_deref(),
        );
        let Some(pairs) = event
            .record
            .pairs()
            .filter(|_| time.is_some() || tag.is_some())
        else {
            out.extend_from_slice(event.record.bytes());
            return;
        };
        let stays = |key: Option<&str>| key.is_none() || (key != time && key != tag);
        let kept = pairs.clone().filter(|(key, _)| stays(key.as_str())).count();
        let count = kept + usize::from(time.is_some()) + usize::from(tag.is_some());
        write::map(out, u32::try_from(count).unwrap_or(u32::MAX));
        if let Some(key) = time {
            write::str(out, key);
            event.time.write(out);
        }
        if let Some(key) = tag {
            write::str(out, key);
            write::str(out, self.tag.as_str());
        }
        for (key, value) in pairs.filter(|(key, _)| stays(key.as_str())) {
            out.extend_from_slice(key.bytes());
            out.extend_from_slice(value.bytes());
        }
    }
}

impl Format {
    /// The `Content-Type` that follows from it.
    pub(crate) fn content_type(&self) -> Option<&'static str> {
        Some(match self {
            Self::Lines => "application/x-ndjson",
            Self::Array => "application/json",
            Self::MessagePack => "application/x-msgpack",
            Self::Other(name) => match &**name {
                "csv" => "text/csv",
                "tsv" | "ltsv" => "text/tab-separated-values",
                "out_file" | "single_value" | "stdout" | "hash" => "text/plain",
                _ => return None,
            },
        })
    }

    /// One body of these records.
    pub(crate) fn join<'a>(
        &self,
        records: impl Iterator<Item = &'a [u8]>,
        bytes: usize,
    ) -> Vec<u8> {
        let mut body = Vec::with_capacity(bytes);
        if matches!(self, Self::Array) {
            body.push(b'[');
        }
        for (index, record) in records.enumerate() {
            if index > 0 && matches!(self, Self::Array) {
                body.push(b',');
            }
            body.extend_from_slice(record);
            if matches!(self, Self::Lines) {
                body.push(b'\n');
            }
        }
        if matches!(self, Self::Array) {
            body.push(b']');
        }
        body
    }
}

impl Compress {
    /// What `Content-Encoding` says.
    pub(crate) fn coding(self) -> Option<&'static str> {
        match self {
            Self::Text => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// Compresses a body, on a thread of its own when it is large.
    ///
    /// # Errors
    /// Those of the encoder, or that the thread panicked.
    pub(crate) async fn pack(self, body: Vec<u8>) -> std::io::Result<Bytes> {
        let work = move || match self {
            Self::Text => Ok(body.into()),
            Self::Gzip => {
                let room = Vec::with_capacity(body.len() / 4);
                let mut encoder = GzEncoder::new(room, Compression::fast());
                encoder.write_all(&body)?;
                encoder.finish().map(Bytes::from)
            }
            Self::Zstd => zstd::encode_all(&*body, ZSTD_LEVEL).map(Bytes::from),
        };
        if matches!(self, Self::Text) {
            return work();
        }
        tokio::task::spawn_blocking(work)
            .await
            .map_err(std::io::Error::other)?
    }
}
