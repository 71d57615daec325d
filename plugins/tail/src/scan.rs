//! Which streams there are, and what becomes of their files between reads.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::{
    Decode, Engine,
    generation::Generation,
    identity::{FileId, Print},
    positions::{Mark, StreamMarks},
    reconcile::{Sight, Surroundings, reconcile},
    siblings,
    stream::Stream,
};

/// A file that has not changed for this long is looked at less often.
const QUIET: Duration = Duration::from_secs(10);

impl<D: Decode> Engine<D> {
    /// Lists the paths and begins to follow new ones.
    pub(crate) fn scan(&mut self, now: Instant) {
        let paths = self.listed();
        for stream in self.streams.values_mut() {
            stream.is_unlisted = !paths.contains(&stream.path);
        }
        for path in &paths {
            let is_rotated = siblings::belongs_to_another(path, |live| {
                paths.contains(live) || self.by_path.contains_key(live)
            });
            if !is_rotated && !self.by_path.contains_key(path) {
                self.begin(path, now);
            }
        }
        self.has_listed = true;
    }

    fn listed(&self) -> BTreeSet<PathBuf> {
        let mut paths = self.settings.globs.list();
        if let Some(limit) = self.settings.limit_recently_modified {
            let now = SystemTime::now();
            paths.retain(|path| {
                let modified = fs::metadata(path).and_then(|meta| meta.modified());
                modified.is_ok_and(|at| now.duration_since(at).unwrap_or_default() <= limit)
            });
        }
        paths
    }

    /// A path that has no stream yet.
    fn begin(&mut self, path: &Path, now: Instant) {
        let Ok(meta) = fs::metadata(path) else {
            return;
        };
        let id = FileId::of(&meta);
        if !meta.is_file() || self.is_followed(id) {
            return;
        }
        let is_late = self.has_listed || self.has_history;
        let sight = Sight::First {
            from_head: self.settings.read_from_head || is_late,
            rotated: is_late || (self.settings.read_rotated && self.settings.read_from_head),
        };
        let Some(mut stream) = self.opened(path, now) else {
            return;
        };
        let entry = self.fluentd.remove(&id.ino);
        let sight = match entry.filter(|entry| entry.offset <= meta.size()) {
            Some(entry) => {
                let mark = Mark {
                    id,
                    print: Print::default(),
                    offset: entry.offset,
                    size: meta.size(),
                    is_gzip: false,
                };
                stream.generations.push_back(self.marked(path, &mark));
                stream.seen = SystemTime::now();
                Sight::Known
            }
            None => sight,
        };
        self.add(stream, sight, now);
    }

    /// Whether a file is that of another path already, or a rotated one of it.
    fn is_followed(&self, id: FileId) -> bool {
        self.streams
            .values()
            .flat_map(|stream| &stream.generations)
            .any(|generation| generation.id == id && !generation.is_gone)
    }

    fn opened(&mut self, path: &Path, now: Instant) -> Option<Stream<D::Stream>> {
        let real = path.canonicalize().unwrap_or_else(|_| {
            let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
            match (folder, path.file_name()) {
                (Some(folder), Some(name)) => folder.join(name),
                _ => path.to_owned(),
            }
        });
        let opened = self.decode.open(path, &real)?;
        let path = path.to_owned();
        Some(Stream::new(path, real, opened.tag, opened.state, now))
    }

    fn marked(&mut self, path: &Path, mark: &Mark) -> Generation {
        self.numbers += 1;
        let mut generation = Generation::marked(self.numbers, path, mark);
        self.numbers += 1;
        generation.rotated = None;
        generation
    }

    fn add(&mut self, mut stream: Stream<D::Stream>, sight: Sight, now: Instant) {
        let id = self.next_stream;
        self.next_stream += 1;
        let result = reconcile(
            &mut stream,
            &mut Surroundings {
                now,
                done: &self.done,
                counters: &self.counters,
                numbers: &mut self.numbers,
                sight,
            },
        );
        if let Err(error) = result {
            if stream.generations.is_empty() {
                // Nothing is known of it, so that it is seen for the first time again.
                self.denied(&mut stream, &error);
                return;
            }
            stream.needs_reconcile = true;
        }
        self.is_dirty = true;
        self.by_path.insert(stream.path.clone(), id);
        self.streams.insert(id, stream);
    }

    /// A stream of the last run.
    pub(crate) fn restore(&mut self, marks: &StreamMarks, now: Instant) {
        let path = PathBuf::from(&marks.path);
        if self.settings.globs.is_excluded(&path) || self.by_path.contains_key(&path) {
            return;
        }
        let Some(mut stream) = self.opened(&path, now) else {
            return;
        };
        let seen = Duration::try_from_secs_f64(marks.seen).unwrap_or_default();
        stream.seen = SystemTime::UNIX_EPOCH + seen;
        for mark in &marks.files {
            let generation = self.marked(&path, mark);
            stream.generations.push_back(generation);
        }
        if stream.generations.is_empty() {
            return;
        }
        self.add(stream, Sight::Known, now);
    }

    /// Looks at each stream that is due, brings its files in line, and lets go of what is done.
    pub(crate) fn look_at_streams(&mut self, now: Instant) {
        let due: Vec<u64> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.next_look <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let Some(mut stream) = self.streams.remove(&id) else {
                continue;
            };
            self.look_at(&mut stream, now);
            self.retire(&mut stream, now);
            if self.is_over(&stream, now) {
                self.end(stream);
            } else {
                self.streams.insert(id, stream);
            }
        }
    }

    fn look_at(&mut self, stream: &mut Stream<D::Stream>, now: Instant) {
        let is_quiet = now.saturating_duration_since(stream.changed) >= QUIET;
        stream.next_look = now
            + if is_quiet {
                self.settings.idle_poll_interval
            } else {
                self.settings.poll_interval
            };
        match fs::metadata(&stream.path) {
            Ok(meta) => {
                let before = stream.changed;
                if let Err(error) = see_live(stream, &meta, now) {
                    stream.needs_reconcile = true;
                    self.denied(stream, &error);
                }
                // The length is stored, too.
                self.is_dirty |= stream.changed != before;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A file may have come and been moved away between two looks.
                let waited = now.saturating_duration_since(stream.reconciled);
                stream.needs_reconcile |=
                    stream.live().is_some() || waited >= self.settings.idle_poll_interval;
            }
            Err(error) => self.denied(stream, &error),
        }
        self.see_rotated(stream, now);
        if !stream.needs_reconcile {
            stream.seen = SystemTime::now();
            return;
        }
        let written = stream.generations.iter().map(|g| g.size).sum::<u64>();
        let files = stream.generations.len();
        let was_live = stream.live().is_some();
        let result = reconcile(
            stream,
            &mut Surroundings {
                now,
                done: &self.done,
                counters: &self.counters,
                numbers: &mut self.numbers,
                sight: Sight::Known,
            },
        );
        if let Err(error) = result {
            // Files moved while they were looked at: at once again.
            stream.next_look = now;
            if error.kind() == io::ErrorKind::PermissionDenied {
                stream.next_look = now + self.settings.idle_poll_interval;
                self.denied(stream, &error);
            }
        }
        let after = stream.generations.iter().map(|g| g.size).sum::<u64>();
        stream.rate.written += after.saturating_sub(written);
        if files != stream.generations.len() || was_live != stream.live().is_some() {
            stream.changed = now;
            self.is_dirty = true;
        }
    }

    /// Files that were moved away may still grow, and may be removed before they are read.
    fn see_rotated(&self, stream: &mut Stream<D::Stream>, now: Instant) {
        let mut is_head = true;
        for generation in &mut stream.generations {
            if generation.rotated.is_none() || generation.is_gone {
                continue;
            }
            let before = generation.size;
            generation.measure();
            if generation.size > before {
                stream.changed = now;
                stream.rate.written += generation.size - before;
            }
            let is_drained = generation.unread() == 0;
            if !is_drained && !is_head && generation.is_unlinked() {
                stream.needs_reconcile = true;
            }
            is_head &= is_drained;
            let since = generation
                .rotated
                .map(|at| now.saturating_duration_since(at));
            if since.is_some_and(|since| since >= self.settings.last_line_wait()) {
                generation.stuck = None;
            }
            if !is_drained && !generation.is_open() {
                stream.needs_reconcile = true;
            }
        }
    }

    /// Lets go of files that are read to their end, and whose last lines are stored.
    fn retire(&mut self, stream: &mut Stream<D::Stream>, now: Instant) {
        while let Some(first) = stream.generations.front() {
            let is_waited = first.is_gone
                || first.is_gzip
                || first.rotated.is_some_and(|at| {
                    now.saturating_duration_since(at) >= self.settings.rotate_wait
                });
            if !is_waited || first.has_unread() || first.unread() > 0 || first.safe < first.read {
                return;
            }
            self.done.add(first.mark());
            stream.generations.pop_front();
            self.counters.closed.inc();
            self.is_dirty = true;
        }
    }

    fn is_over(&self, stream: &Stream<D::Stream>, now: Instant) -> bool {
        if !stream.in_flight.is_empty() || stream.needs_reconcile {
            return false;
        }
        let is_drained = |generation: &Generation| {
            generation.unread() == 0 && generation.safe == generation.read
        };
        let is_quiet =
            now.saturating_duration_since(stream.changed) >= self.settings.rotate_wait.max(QUIET);
        let is_left = stream.is_unlisted || stream.generations.is_empty();
        is_left && is_quiet && stream.generations.iter().all(is_drained)
    }

    fn end(&mut self, mut stream: Stream<D::Stream>) {
        for generation in &stream.generations {
            self.done.add(generation.mark());
            self.counters.closed.inc();
        }
        self.decode.close(&mut stream.state);
        self.by_path.remove(&stream.path);
        self.is_dirty = true;
    }

    fn denied(&self, stream: &mut Stream<D::Stream>, error: &io::Error) {
        if self.settings.ignore_repeated_permission_error && stream.was_denied {
            return;
        }
        stream.was_denied = true;
        tracing::warn!(path = %stream.path.display(), %error, "a path cannot be looked at");
    }
}

/// The file at the watched path was looked at.
fn see_live<S>(stream: &mut Stream<S>, meta: &fs::Metadata, now: Instant) -> io::Result<()> {
    let (id, size) = (FileId::of(meta), meta.size());
    let is_file = meta.is_file();
    let path = stream.path.clone();
    let Some(live) = stream.live().filter(|live| live.id == id) else {
        stream.needs_reconcile |= is_file || stream.live().is_some();
        return Ok(());
    };
    let modified = meta.modified()?;
    if size == live.size && modified == live.modified {
        return Ok(());
    }
    if !live.is_open() {
        live.attach(&crate::disk::Found::new(path, meta, false))?;
    }
    // Nothing tells a file that had no bytes yet from one whose first bytes were copied and cut since.
    let had_bytes = live.print.len > 0;
    live.modified = modified;
    let more = size.saturating_sub(live.size);
    // Of a file that was cut, the old length is what is known of the text that is gone.
    let is_same = size >= live.size && live.id == id && live.verify()?;
    if is_same {
        live.size = size;
    } else {
        live.close();
        live.id = id;
    }
    stream.needs_reconcile |= !is_same || !had_bytes;
    stream.changed = now;
    stream.rate.written += more;
    Ok(())
}
