//! The dead letter: records that a destination will never take, as lines of JSON that can be read and replayed.

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use sdk::{
    event::{Entries, Tag, Time},
    json,
    metrics::{Gauge, Metrics},
};

use super::{
    claim,
    files::{Files, OpenFile},
};

/// Size at which the next file is begun, in bytes.
const FILE_BYTES: u64 = 16 << 20;
pub(super) const ENDING: &str = ".ndjson";

/// A record that was refused for good.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadRecord {
    /// Its tag.
    pub tag: Tag,
    /// The whole entry, `[time, record]` as MessagePack.
    pub entry: Bytes,
    /// Id of the buffer it was in.
    pub buffer: u128,
    /// Sequence of its frame.
    pub sequence: u64,
    /// Its place in the frame.
    pub index: u32,
    /// Why: a value of the `kind` label.
    pub kind: String,
    /// What the destination said, for people.
    pub message: String,
    /// Tries of its chunk.
    pub attempts: u32,
    /// When it was given up.
    pub time: Time,
}

/// Why refused records could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The limit is reached.
    #[error("the dead letter {} has reached {max_bytes} bytes: look at its files, then move them away", path.display())]
    Full {
        /// The directory.
        path: PathBuf,
        /// Its limit.
        max_bytes: u64,
    },
    /// The file system said no.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// The dead letter of one output: a directory of files `00000001.ndjson` and so on.
#[derive(Debug)]
pub struct DeadLetter {
    files: Files,
    dir: PathBuf,
    max_bytes: u64,
    used_bytes: Gauge,
    /// When the oldest file was begun, in seconds since 1970; 0 when there is none.
    oldest: Gauge,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The file that is appended to.
    open: Option<Open>,
    /// Number of the newest file.
    newest: u64,
}

/// A file that is appended to.
#[derive(Debug)]
struct Open {
    file: OpenFile,
    path: PathBuf,
    /// Its length in bytes.
    len: u64,
}

impl DeadLetter {
    /// Opens the directory, made when it is missing. Blocking. `metrics` carries the labels of the output.
    ///
    /// # Errors
    /// [`DeadLetterError::Io`].
    pub fn open(path: &Path, max_bytes: u64, metrics: &Metrics) -> Result<Self, DeadLetterError> {
        Self::open_on(Files::system(), path, max_bytes, metrics)
    }

    /// As [`DeadLetter::open`], on another file system.
    pub(super) fn open_on(
        files: Files,
        path: &Path,
        max_bytes: u64,
        metrics: &Metrics,
    ) -> Result<Self, DeadLetterError> {
        files
            .make_dir(path)
            .map_err(failed("make directory", path))?;
        let names = files.names(path).map_err(failed("list", path))?;
        let number = |name: &String| name.strip_suffix(ENDING)?.parse::<u64>().ok();
        let newest = names.iter().filter_map(number).max().unwrap_or(0);
        let help = "Bytes of records in the dead letter";
        let dead_letter = Self {
            files,
            dir: path.to_owned(),
            max_bytes,
            used_bytes: metrics.gauge("dead_letter_bytes", help, &[]),
            oldest: metrics.gauge(
                "dead_letter_oldest_timestamp_seconds",
                "When the oldest file of the dead letter was begun; 0 without one",
                &[],
            ),
            state: Mutex::new(State { open: None, newest }),
        };
        dead_letter.measure()?;
        Ok(dead_letter)
    }

    /// Whether it is this directory with this limit.
    pub fn is_at(&self, path: &Path, max_bytes: u64) -> bool {
        self.dir == path && self.max_bytes == max_bytes
    }

    /// Writes records; on disk when it returns. Blocking.
    ///
    /// # Errors
    /// [`DeadLetterError`]: none of them counts as written.
    pub fn append(&self, records: &[DeadRecord]) -> Result<(), DeadLetterError> {
        let mut lines = Vec::new();
        for record in records {
            lines.extend(line(record));
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.measure()? + lines.len() as u64 > self.max_bytes {
            return Err(DeadLetterError::Full {
                path: self.dir.clone(),
                max_bytes: self.max_bytes,
            });
        }
        // Meanwhile no replay takes the file away.
        let _lock = claim::lock(&self.files, &self.dir)?;
        let open = state.open.take().filter(|open| open.len < FILE_BYTES);
        let Open { file, path, len } = match open {
            Some(open) if self.files.len(&open.path).is_some() => open,
            _ => self.next_file(&mut state)?,
        };
        let written = file
            .write_all(&mut [IoSlice::new(&lines)])
            .and_then(|()| file.sync_data());
        if let Err(source) = written {
            // The next call begins a new file: lines behind a broken one would be hard to read.
            drop(file.cut(len));
            return Err(failed("write to", &self.dir)(source));
        }
        state.open = Some(Open {
            file,
            path,
            len: len + lines.len() as u64,
        });
        drop(state);
        self.measure().map(drop)
    }

    /// A file with a number of its own. Files of earlier processes are left alone: their last line may be cut off.
    fn next_file(&self, state: &mut State) -> Result<Open, DeadLetterError> {
        state.newest += 1;
        let path = self.dir.join(format!("{:08}{ENDING}", state.newest));
        let file = self
            .files
            .create_new(&path)
            .map_err(failed("make", &path))?;
        self.files
            .sync_dir(&self.dir)
            .map_err(failed("sync", &self.dir))?;
        Ok(Open { file, path, len: 0 })
    }

    /// What the files occupy now, in bytes: an operator may have moved some away. Blocking; sets the gauges.
    ///
    /// # Errors
    /// [`DeadLetterError::Io`].
    pub fn measure(&self) -> Result<u64, DeadLetterError> {
        let bytes = self
            .files
            .dir_bytes(&self.dir)
            .map_err(failed("list", &self.dir))?;
        let names = self
            .files
            .names(&self.dir)
            .map_err(failed("list", &self.dir))?;
        let first = names.iter().filter(|name| name.ends_with(ENDING)).min();
        let begun = first.and_then(|name| self.files.begun_secs(&self.dir.join(name)));
        self.oldest
            .set(begun.and_then(|secs| i64::try_from(secs).ok()).unwrap_or(0));
        self.used_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        Ok(bytes)
    }
}

pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DeadLetterError {
    let path = path.to_owned();
    move |source| DeadLetterError::Io { what, path, source }
}

/// One record as one line.
fn line(dead: &DeadRecord) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + dead.entry.len() * 3);
    let mut field = |name: &str, write: &mut dyn FnMut(&mut Vec<u8>)| {
        out.push(if out.is_empty() { b'{' } else { b',' });
        out.extend_from_slice(format!("\"{name}\":").as_bytes());
        write(&mut out);
    };
    let instant = |out: &mut Vec<u8>, time| {
        out.push(b'"');
        json::write_time(out, time);
        out.push(b'"');
    };
    let text = |text: &str| {
        let mut quoted = Vec::new();
        json::write_text(&mut quoted, text.as_bytes());
        quoted
    };
    let id = format!("{:032x}-{}-{}", dead.buffer, dead.sequence, dead.index);
    field("id", &mut |out| out.extend(text(&id)));
    field("failed_at", &mut |out| instant(out, dead.time));
    field("tag", &mut |out| out.extend(text(dead.tag.as_str())));
    field("kind", &mut |out| out.extend(text(&dead.kind)));
    field("message", &mut |out| out.extend(text(&dead.message)));
    field("attempts", &mut |out| {
        out.extend(dead.attempts.to_string().bytes());
    });
    if let Some(Ok(event)) = Entries::new(&dead.entry).next() {
        field("time", &mut |out| instant(out, event.time));
        field("record", &mut |out| json::write_value(out, event.record));
    }
    field("entry", &mut |out| {
        out.extend(text(&BASE64.encode(&dead.entry)));
    });
    out.extend_from_slice(b"}\n");
    out
}
