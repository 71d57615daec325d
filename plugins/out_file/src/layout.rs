//! The checked parameters, and how they make a line.

use std::{fmt, sync::Arc};

use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
use sdk::{
    config::{ConfigError, ConfigErrors, Template},
    event::{RawEvent, Tag, Time},
    formatter::{FormatError, Formatter},
    json::{Clash, Lead, Writer},
    msgpack::RawValue,
    plugin::BuildCx,
};

use crate::{
    Compress, Config, Format, Formatting,
    append::{Appender, Permissions},
    location::Location,
    rotate::{RESERVED_ENDINGS, Rotation},
    symlink::Symlink,
    write::Files,
};

/// The parameters that make a line, and those that were checked with them.
#[derive(Debug)]
pub(crate) struct Layout {
    config: Config,
    form: Form,
    template: Template,
    hostname: String,
    permissions: Permissions,
}

/// How an event becomes a line.
#[derive(Clone)]
enum Form {
    Own(Format),
    By(Arc<dyn Formatter>),
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(format) => write!(f, "{format:?}"),
            Self::By(_) => f.write_str("a formatter"),
        }
    }
}

impl Layout {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Everything that is wrong, each at its place.
    pub(crate) fn new(config: &Config, cx: &BuildCx) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let form = match &config.format {
            Formatting::Own(format) => Some(Form::Own(*format)),
            Formatting::Table(table) => {
                let formatter = cx.formatter("/format", table).map(Form::By);
                formatter.map_err(|found| errors.extend(found)).ok()
            }
        };
        let template = check_path(config, &mut errors);
        let file = octal(
            "/file_permission",
            config.file_permission.as_deref(),
            &mut errors,
        );
        let dir = octal(
            "/dir_permission",
            config.dir_permission.as_deref(),
            &mut errors,
        );
        if !config.append {
            let error = ConfigError::at("/append", "a chunk has no file of its own here");
            errors.push(error.help("remove `append`, and set `rotate_size` for smaller files"));
        }
        if config.rotate_size.is_some_and(|size| size.0 == 0) {
            let error = ConfigError::at("/rotate_size", "a file of 0 bytes holds nothing");
            errors.push(error.help("write a size such as \"100MiB\", or leave it out"));
        }
        if config.symlink_path.as_ref() == Some(&config.path) {
            let error = ConfigError::at("/symlink_path", "the link would stand where the file is");
            errors.push(error.help("give it another name"));
        }
        match (template, form) {
            (Some(template), Some(form)) if errors.is_empty() => Ok(Self {
                config: config.clone(),
                form,
                template,
                hostname: cx.hostname.to_string(),
                permissions: Permissions { file, dir },
            }),
            _ => Err(errors),
        }
    }

    /// Puts the parts together.
    pub(crate) fn assemble(self, config: &Config) -> Files {
        let endings: &[&str] = match config.compress {
            Compress::Gzip => &RESERVED_ENDINGS,
            Compress::Text => &[],
        };
        let zone = config.timezone.clone();
        let location = Location::new(self.template.clone(), zone, &self.hostname, endings);
        Files {
            rotation: Rotation::new(config, location.base(), self.permissions),
            appender: Appender::new(config.sync, self.permissions),
            symlink: config.symlink_path.as_deref().map(Symlink::new),
            location,
            layout: self,
        }
    }

    /// A writer of lines.
    pub(crate) fn writer(&self) -> LineWriter<'_> {
        LineWriter {
            config: &self.config,
            form: &self.form,
            zone: self.config.timezone.get(),
            json: Writer::default(),
            lead: Lead::new(),
            tag: String::new(),
            second: (None, String::new()),
        }
    }
}

fn check_path(config: &Config, errors: &mut ConfigErrors) -> Option<Template> {
    let path = config.path.as_str();
    let template: Template = match path.parse() {
        Ok(template) => template,
        Err(error) => {
            let message = format!("{path:?} is not a path: {error}");
            let help =
                "write placeholders such as ${tag}, ${tag_parts[1]}, ${record.app} or %Y-%m-%d";
            errors.push(ConfigError::at("/path", message).help(help));
            return None;
        }
    };
    let base_len = template
        .literal_prefix()
        .rfind('/')
        .map_or(0, |slash| slash + 1);
    let rest = path.get(base_len..).unwrap_or_default();
    let zoned = Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
    let complaint = if path.is_empty() || path.ends_with('/') {
        Some((
            "names a folder".to_owned(),
            "write the name of a file behind it, such as %Y-%m-%d.log",
        ))
    } else if path.contains('\0') {
        Some(("holds a NUL character".to_owned(), "remove it"))
    } else if rest.split('/').any(|name| matches!(name, "" | "." | "..")) {
        let help =
            "write the folder in front, without \"..\" or \"//\" behind the first placeholder";
        Some(("does not stay below its folder".to_owned(), help))
    } else if let Err(error) = strtime::format(path, &zoned) {
        let help = "write %Y, %m, %d, %H and so on, and %% for a percent sign";
        Some((format!("has a wrong time: {error}"), help))
    } else if config.compress == Compress::Gzip
        && RESERVED_ENDINGS.iter().any(|end| path.ends_with(end))
    {
        Some((
            "ends as a compressed file does".to_owned(),
            "leave \".gz\" out: it is added when a file is over",
        ))
    } else {
        None
    };
    if let Some((what, help)) = complaint {
        errors.push(ConfigError::at("/path", format!("{path:?} {what}")).help(help));
    }
    Some(template)
}

fn octal(at: &str, text: Option<&str>, errors: &mut ConfigErrors) -> Option<u32> {
    let text = text?;
    let digits = text.strip_prefix("0o").unwrap_or(text);
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if (3..=4).contains(&digits.len()) => Some(mode),
        _ => {
            let error = ConfigError::at(at, format!("{text:?} is not a permission"));
            errors.push(error.help("write three or four octal digits, as in \"0644\""));
            None
        }
    }
}

/// Writes events as lines.
#[derive(Debug)]
pub(crate) struct LineWriter<'a> {
    config: &'a Config,
    form: &'a Form,
    zone: TimeZone,
    json: Writer,
    lead: Lead,
    tag: String,
    /// The last second and its text, for format `out_file`.
    second: (Option<i64>, String),
}

impl LineWriter<'_> {
    /// The events that follow have this tag.
    pub(crate) fn start_frame(&mut self, tag: &Tag) {
        if matches!(self.form, Form::Own(Format::OutFile)) {
            // A tag comes from the sender; it must not end the line or the column.
            let letters = tag.as_str().chars();
            self.tag = letters
                .map(|letter| if letter.is_control() { '_' } else { letter })
                .collect();
        }
        if matches!(self.form, Form::Own(Format::Json)) {
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
        let written = match self.form {
            Form::By(formatter) => formatter.format(tag, event, out),
            Form::Own(format) => self.write_own(out, *format, event),
        };
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn write_own(
        &mut self,
        out: &mut Vec<u8>,
        format: Format,
        event: &RawEvent<'_>,
    ) -> Result<(), FormatError> {
        match format {
            Format::Json => self.lead.set_time(event.time),
            Format::OutFile => self.write_head(out, event.time),
        }
        let mut clash = |name: &str, _: RawValue<'_>| Clash::Rename(format!("{name}_"));
        self.json
            .record(out, &self.lead, event.record, &mut clash)
            .map_err(|error| FormatError::new(error.to_string()))?;
        out.push(b'\n');
        Ok(())
    }

    fn write_head(&mut self, out: &mut Vec<u8>, time: Time) {
        if self.second.0 != Some(time.secs) {
            let zoned = Timestamp::from_second(time.secs)
                .map(|stamp| stamp.to_zoned_datetime(self.zone.clone()));
            let text = zoned.and_then(|zoned| strtime::format("%Y-%m-%dT%H:%M:%S%:z", &zoned));
            self.second = (
                Some(time.secs),
                text.unwrap_or_else(|_| time.secs.to_string()),
            );
        }
        out.extend_from_slice(self.second.1.as_bytes());
        out.push(b'\t');
        out.extend_from_slice(self.tag.as_bytes());
        out.push(b'\t');
    }
}
