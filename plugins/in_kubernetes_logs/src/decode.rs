//! Lines of runtimes into records: parts joined, fields added, limits held.

use std::path::Path;

use sdk::{
    clock::Clock,
    event::{TAG_LEN_MAX, Tag, Time},
    metrics::Counter,
    msgpack::write,
};
use serde_json::{Map, Value};
use tail::{Allowance, Counters, Decode, Events, Opened, Place, Places};
use tokio::time::Instant;

use crate::{
    choice::Choice,
    config::{Config, Over, OversizeAction, RateLimit, TagStyle},
    container::Container,
    formats::{Line, cri, docker},
    layout::Layout,
    links::Links,
    times::Times,
};

/// Makes records of the lines of runtimes.
pub(crate) struct Pods {
    config: Config,
    choice: Choice,
    links: Links,
    clock: Clock,
    /// Read once for each turn.
    now: Time,
    unknown: Counter,
    counters: std::sync::Arc<Counters>,
}

/// What is remembered of a file.
pub(crate) struct Log {
    layout: Layout,
    format: Format,
    times: Times,
    stdout: Partial,
    stderr: Partial,
    allowance: Option<Allowance>,
}

/// What a file was found to be, by its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Cri,
    Docker,
}

/// A record whose last part has not come.
#[derive(Default)]
struct Partial {
    places: Places,
    time: Time,
    text: Vec<u8>,
    is_cut: bool,
    attrs: Map<String, Value>,
}

impl Pods {
    pub(crate) fn new(
        config: Config,
        choice: Choice,
        clock: Clock,
        unknown: Counter,
        counters: std::sync::Arc<Counters>,
    ) -> Self {
        Self {
            now: clock.now(),
            config,
            choice,
            links: Links::default(),
            clock,
            unknown,
            counters,
        }
    }

    fn tag(&self, container: &Container) -> Tag {
        let (default, name) = match self.config.tag_style {
            TagStyle::Names => (
                "kube.*",
                format!(
                    "{}.{}.{}",
                    container.namespace, container.pod, container.name
                ),
            ),
            TagStyle::Containers => (
                "kubernetes.*",
                format!(
                    "var.log.containers.{}_{}_{}-{}.log",
                    container.pod,
                    container.namespace,
                    container.name,
                    // The pattern of Fluentd's filter wants an id, known or not.
                    container.id.clone().unwrap_or_else(|| "0".repeat(64))
                ),
            ),
        };
        let tag = self.config.tag.as_deref().unwrap_or(default);
        let text = tag.replacen('*', &name, 1);
        Tag::from_wire(
            text.as_bytes()
                .get(..TAG_LEN_MAX)
                .unwrap_or(text.as_bytes()),
        )
        .unwrap_or_else(|| Tag::new(tag))
    }

    /// Takes a line of a runtime in: writes it, or keeps it until its record is whole.
    #[inline]
    fn take(
        &self,
        log: &mut Log,
        line: &Line<'_>,
        attrs: Map<String, Value>,
        place: Place,
        out: &mut Events,
    ) {
        let partial = if line.is_stderr {
            &mut log.stderr
        } else {
            &mut log.stdout
        };
        if !line.is_partial && partial.places.is_empty() {
            let record = (line.time, &*line.content, &attrs);
            emit(
                &log.layout,
                line.is_stderr,
                record,
                &mut log.allowance,
                &self.counters,
                out,
            );
            return;
        }
        partial.add(line, attrs, place, self.config.max_line_size.as_usize());
        if !line.is_partial {
            self.counters.partial_joined.inc();
            self.finish(log, line.is_stderr, out);
        }
    }

    /// Writes what was kept of a record.
    fn finish(&self, log: &mut Log, is_stderr: bool, out: &mut Events) {
        let partial = if is_stderr {
            &mut log.stderr
        } else {
            &mut log.stdout
        };
        if partial.places.is_empty() {
            return;
        }
        if partial.is_cut {
            self.counters.oversize_lines.inc();
        }
        if !partial.is_cut || self.config.max_line_size_action == OversizeAction::Truncate {
            let record = (partial.time, &*partial.text, &partial.attrs);
            emit(
                &log.layout,
                is_stderr,
                record,
                &mut log.allowance,
                &self.counters,
                out,
            );
        }
        partial.clear();
    }

    /// A line that no runtime has written, as far as is known: it goes on as it is.
    #[cold]
    fn raw<'a>(&self, line: &'a [u8]) -> Line<'a> {
        self.unknown.inc();
        Line {
            time: self.now,
            is_stderr: false,
            is_partial: false,
            content: line.into(),
        }
    }
}

impl Partial {
    fn add(&mut self, line: &Line<'_>, attrs: Map<String, Value>, place: Place, bytes_max: usize) {
        if self.places.is_empty() {
            self.time = line.time;
            self.attrs = attrs;
        }
        self.places.hold(place);
        let room = bytes_max.saturating_sub(self.text.len());
        let kept = line.content.get(..room).unwrap_or(&line.content);
        self.is_cut |= kept.len() < line.content.len();
        self.text.extend_from_slice(kept);
    }

    fn clear(&mut self) {
        self.places.clear();
        self.text.clear();
        self.is_cut = false;
        self.attrs = Map::new();
        // One long record is no reason to keep room for it.
        self.text.shrink_to(64 << 10);
    }
}

/// Writes a record, unless the limit is reached and says that it is to be left out.
#[inline]
fn emit(
    layout: &Layout,
    is_stderr: bool,
    (time, text, attrs): (Time, &[u8], &Map<String, Value>),
    allowance: &mut Option<Allowance>,
    counters: &Counters,
    out: &mut Events,
) {
    if let Some(allowance) = allowance {
        if allowance.left() < 1.0 {
            counters.throttled_records.inc();
            return;
        }
        allowance.take(1.0);
    }
    let bytes = &mut out.bytes;
    write::array(bytes, 2);
    time.write(bytes);
    write::map(bytes, layout.pairs + u32::from(!attrs.is_empty()));
    bytes.extend_from_slice(&layout.key);
    write::str_bytes(bytes, text);
    bytes.extend_from_slice(if is_stderr {
        &layout.stderr
    } else {
        &layout.stdout
    });
    if !attrs.is_empty() {
        write_attrs(bytes, attrs);
    }
    out.count += 1;
}

#[cold]
fn write_attrs(out: &mut Vec<u8>, attrs: &Map<String, Value>) {
    write::str(out, "attrs");
    write::map(out, u32::try_from(attrs.len()).unwrap_or(u32::MAX));
    for (key, value) in attrs {
        write::str(out, key);
        write::json(out, value);
    }
}

fn allowance(limit: RateLimit) -> Allowance {
    Allowance::new(limit.lines, limit.burst.0)
}

impl Decode for Pods {
    type Stream = Log;

    fn open(&mut self, path: &Path, real: &Path) -> Option<Opened<Log>> {
        let link = std::fs::read_link(path).ok();
        let link = link.map(|link| path.parent().unwrap_or(Path::new("/")).join(link));
        let links: Vec<&Path> = link.as_deref().into_iter().chain([real]).collect();
        let mut container = Container::of(path, &links)?;
        if !self.choice.takes(&container) {
            return None;
        }
        if container.id.is_none() {
            container.id = self.links.id(path);
        }
        let config = &self.config;
        let path = config.path_key.as_deref().zip(path.to_str());
        let layout = Layout::new(
            config.fields,
            config.message_key.as_deref(),
            path,
            &container,
        );
        Some(Opened {
            tag: self.tag(&container),
            state: Log {
                layout,
                format: Format::Cri,
                times: Times::default(),
                stdout: Partial::default(),
                stderr: Partial::default(),
                allowance: config.rate_limit.map(allowance),
            },
        })
    }

    fn turn(&mut self, log: &mut Log, now: Instant) -> usize {
        self.now = self.clock.now();
        let (Some(allowance), Some(limit)) = (&mut log.allowance, self.config.rate_limit) else {
            return usize::MAX;
        };
        let left = allowance.fill(now);
        if limit.over == Over::Drop {
            return usize::MAX;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a negative number becomes 0, and a large one the largest"
        )]
        let lines = left as usize;
        lines
    }

    #[inline]
    fn line(&mut self, log: &mut Log, line: &[u8], place: Place, out: &mut Events) {
        if log.format == Format::Cri
            && let Some(line) = cri(line, &mut log.times)
        {
            self.take(log, &line, Map::new(), place, out);
        } else if line.starts_with(b"{")
            && let Some((line, attrs)) = docker(line, &mut log.times)
        {
            log.format = Format::Docker;
            self.take(log, &line, attrs, place, out);
        } else if let Some(line) = cri(line, &mut log.times) {
            log.format = Format::Cri;
            self.take(log, &line, Map::new(), place, out);
        } else if !line.is_empty() {
            let line = self.raw(line);
            self.take(log, &line, Map::new(), place, out);
        }
    }

    fn flush(&mut self, log: &mut Log, out: &mut Events) {
        self.finish(log, false, out);
        self.finish(log, true, out);
    }

    fn held(&self, log: &Log, generation: u64) -> Option<u64> {
        let (stdout, stderr) = (&log.stdout.places, &log.stderr.places);
        let both = [
            stdout.in_generation(generation),
            stderr.in_generation(generation),
        ];
        both.into_iter().flatten().min()
    }

    fn is_holding(&self, log: &Log) -> bool {
        !log.stdout.places.is_empty() || !log.stderr.places.is_empty()
    }

    fn rewind(&mut self, log: &mut Log) {
        log.stdout.clear();
        log.stderr.clear();
    }
}
