//! An event as one line of text.

use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
use sdk::{
    event::{RawEvent, Tag, Time},
    formatter::{FormatError, Formatter},
    json::{Clash, Lead, Writer},
};

use crate::{Config, Format, Formatting};

/// Writes the lines of frames, one frame after the other.
pub(crate) struct Lines<'a> {
    config: &'a Config,
    formatter: Option<&'a dyn Formatter>,
    format: Format,
    writer: Writer,
    tag: String,
    lead: Lead,
    clock: Clock,
}

impl<'a> Lines<'a> {
    /// Lines of the form that `config` says, or of `formatter`.
    pub(crate) fn new(config: &'a Config, formatter: Option<&'a dyn Formatter>) -> Self {
        Self {
            config,
            formatter,
            format: match &config.format {
                Formatting::Own(format) => *format,
                Formatting::Table(_) => Format::default(),
            },
            writer: Writer::default(),
            tag: String::new(),
            lead: Lead::new(),
            clock: Clock::new(config.timezone.get()),
        }
    }

    /// The events that follow have this tag.
    pub(crate) fn start_frame(&mut self, tag: &Tag) {
        self.tag.clear();
        // A tag comes from the sender; it must not end the line.
        let letters = tag
            .as_str()
            .chars()
            .map(|letter| if letter.is_control() { '_' } else { letter });
        self.tag.extend(letters);
        if self.format == Format::Json {
            let mut lead = Lead::new();
            if self.config.include_time_key {
                lead = lead.time(&self.config.time_key);
            }
            if self.config.include_tag_key {
                lead = lead.string(&self.config.tag_key, tag.as_str());
            }
            self.lead = lead;
        }
    }

    /// Appends the line of an event.
    ///
    /// # Errors
    /// [`FormatError`]; `out` is then as it was.
    pub(crate) fn write(
        &mut self,
        out: &mut Vec<u8>,
        tag: &Tag,
        event: &RawEvent<'_>,
    ) -> Result<(), FormatError> {
        let start = out.len();
        let written = match self.formatter {
            Some(formatter) => formatter.format(tag, event, out),
            None => self.write_own(out, event),
        };
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn write_own(&mut self, out: &mut Vec<u8>, event: &RawEvent<'_>) -> Result<(), FormatError> {
        match self.format {
            Format::Stdout => {
                self.clock.write(out, event.time);
                out.push(b' ');
                out.extend_from_slice(self.tag.as_bytes());
                out.extend_from_slice(b": ");
            }
            Format::Json => self.lead.set_time(event.time),
        }
        let mut clash =
            |name: &str, _: sdk::msgpack::RawValue<'_>| Clash::Rename(format!("{name}_"));
        self.writer
            .record(out, &self.lead, event.record, &mut clash)
            .map_err(|error| FormatError::new(error.to_string()))?;
        out.push(b'\n');
        Ok(())
    }
}

/// Times as text; the part that stays the same within a second is made once.
#[derive(Debug)]
struct Clock {
    zone: TimeZone,
    secs: Option<i64>,
    second: String,
    offset: String,
}

impl Clock {
    fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            secs: None,
            second: String::new(),
            offset: String::new(),
        }
    }

    /// Appends `2026-01-02 03:04:05.000000000 +0000`; a time beyond the year 9999 as its seconds.
    fn write(&mut self, out: &mut Vec<u8>, time: Time) {
        if self.secs != Some(time.secs) {
            self.secs = Some(time.secs);
            let zoned = Timestamp::from_second(time.secs)
                .ok()
                .map(|stamp| stamp.to_zoned_datetime(self.zone.clone()));
            let format = |pattern| {
                zoned
                    .as_ref()
                    .and_then(|zoned| strtime::format(pattern, zoned).ok())
            };
            self.second = format("%Y-%m-%d %H:%M:%S").unwrap_or_else(|| time.secs.to_string());
            self.offset = format("%z").unwrap_or_else(|| "+0000".into());
        }
        out.extend_from_slice(self.second.as_bytes());
        out.extend_from_slice(format!(".{:09} ", time.nanos).as_bytes());
        out.extend_from_slice(self.offset.as_bytes());
    }
}
