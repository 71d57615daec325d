//! Lines into records, by a parser; several lines into one, where the parser says so.

use std::{borrow::Cow, path::Path};

use sdk::{
    clock::Clock,
    event::{TAG_LEN_MAX, Tag, Time, write_event},
    input::InputCx,
    metrics::Counter,
    msgpack::{Reader, Token, write},
};
use tail::{Decode, Events, Opened, Place, Places};
use tokio::time::Instant;

use crate::settings::Rules;

/// Makes records of lines.
pub(crate) struct Lines {
    rules: Rules,
    clock: Clock,
    /// Read once for each turn.
    now: Time,
    unmatched: Counter,
    oversize: Counter,
    record: Vec<u8>,
    spliced: Vec<u8>,
}

/// What is remembered of a file.
#[derive(Default)]
pub(crate) struct Log {
    /// The field with the path, encoded.
    path: Vec<u8>,
    group: Option<usize>,
    /// Lines of one record, so far.
    text: Vec<u8>,
    is_cut: bool,
    places: Places,
}

impl Lines {
    pub(crate) fn new(rules: Rules, cx: &InputCx) -> Self {
        let help = "Lines over the limit, cut or left out";
        Self {
            rules,
            clock: cx.clock.clone(),
            now: cx.clock.now(),
            unmatched: cx.invalid_records("unmatched"),
            oversize: cx.metrics.counter("tail_oversize_lines", help, &[]),
            record: Vec::new(),
            spliced: Vec::new(),
        }
    }

    fn tag(&self, path: &str) -> Tag {
        let dotted = path
            .split('/')
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(".");
        let text = self.rules.tag.replacen('*', &dotted, 1);
        let mut end = text.len().min(TAG_LEN_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Tag::new(text.get(..end).unwrap_or_default())
    }

    /// A record of the text of one or several lines.
    fn emit(&mut self, path: &[u8], text: &[u8], out: &mut Events) {
        self.record.clear();
        let time = match self.rules.parser.parse(text, &mut self.record) {
            Ok(time) => time,
            Err(error) => {
                self.unmatched.inc();
                tracing::debug!(%error, "a line does not match");
                if !self.rules.emits_unmatched {
                    return;
                }
                self.record.clear();
                write::map(&mut self.record, 1);
                write::str(&mut self.record, "unmatched_line");
                write::str_bytes(&mut self.record, text);
                None
            }
        };
        let record = if path.is_empty() {
            &self.record
        } else {
            self.spliced.clear();
            let mut reader = Reader::new(&self.record);
            let Ok(Token::Map(pairs)) = reader.token() else {
                return;
            };
            write::map(&mut self.spliced, pairs + 1);
            self.spliced.extend_from_slice(reader.rest());
            self.spliced.extend_from_slice(path);
            &self.spliced
        };
        write_event(&mut out.bytes, time.unwrap_or(self.now), record);
        out.count += 1;
    }

    fn add(&mut self, log: &mut Log, line: &[u8]) {
        if !log.text.is_empty() {
            log.text.push(b'\n');
        }
        log.text.extend_from_slice(line);
        if log.text.len() > self.rules.record_bytes {
            log.text.truncate(self.rules.record_bytes);
            if !log.is_cut {
                self.oversize.inc();
            }
            log.is_cut = true;
        }
    }
}

impl Decode for Lines {
    type Stream = Log;

    fn open(&mut self, path: &Path, _real: &Path) -> Option<Opened<Log>> {
        let Some(path) = path.to_str() else {
            tracing::warn!(path = %path.display(), "a path that is not UTF-8 is left out");
            return None;
        };
        let mut log = Log {
            group: self
                .rules
                .groups
                .as_mut()
                .and_then(|groups| groups.group_of(path)),
            ..Log::default()
        };
        if let Some(key) = &self.rules.path_key {
            write::str(&mut log.path, key);
            write::str(&mut log.path, path);
        }
        Some(Opened {
            tag: self.tag(path),
            state: log,
        })
    }

    fn turn(&mut self, log: &mut Log, now: Instant) -> usize {
        self.now = self.clock.now();
        match (log.group, &mut self.rules.groups) {
            (Some(group), Some(groups)) => groups.left(group, now),
            _ => usize::MAX,
        }
    }

    fn line(&mut self, log: &mut Log, line: &[u8], place: Place, out: &mut Events) {
        if let (Some(group), Some(groups)) = (log.group, &mut self.rules.groups) {
            groups.take(group);
        }
        let decoded: Cow<'_, str>;
        let line = match self.rules.encoding {
            Some(encoding) => {
                (decoded, _) = encoding.decode_with_bom_removal(line);
                decoded.as_bytes()
            }
            None => line,
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self.rules.parser.begins(line) {
            None => self.emit(&log.path, line, out),
            Some(true) => {
                self.flush(log, out);
                log.places.hold(place);
                self.add(log, line);
            }
            Some(false) if log.places.is_empty() => self.emit(&log.path, line, out),
            Some(false) => {
                log.places.hold(place);
                self.add(log, line);
            }
        }
    }

    fn flush(&mut self, log: &mut Log, out: &mut Events) {
        if log.places.is_empty() {
            return;
        }
        let text = std::mem::take(&mut log.text);
        if self.rules.cuts || !log.is_cut {
            self.emit(&log.path, &text, out);
        }
        log.text = text;
        self.rewind(log);
    }

    fn held(&self, log: &Log, generation: u64) -> Option<u64> {
        log.places.in_generation(generation)
    }

    fn is_holding(&self, log: &Log) -> bool {
        !log.places.is_empty()
    }

    fn rewind(&mut self, log: &mut Log) {
        log.text.clear();
        log.places.clear();
        log.is_cut = false;
    }
}
