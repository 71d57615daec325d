//! The dead letter: records that a destination will never take, as lines of JSON that can be read and replayed.

use std::{
    fs::File,
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

use super::files;

/// Size at which the next file is begun, in bytes.
const FILE_BYTES: u64 = 16 << 20;
const ENDING: &str = ".ndjson";

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
    dir: PathBuf,
    max_bytes: u64,
    used_bytes: Gauge,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The file that is appended to, with its length.
    open: Option<(File, u64)>,
    /// Number of the newest file.
    newest: u64,
}

impl DeadLetter {
    /// Opens the directory, made when it is missing. Blocking. `metrics` carries the labels of the output.
    ///
    /// # Errors
    /// [`DeadLetterError::Io`].
    pub fn open(path: &Path, max_bytes: u64, metrics: &Metrics) -> Result<Self, DeadLetterError> {
        files::make_dir(path).map_err(failed("make directory", path))?;
        let names = files::names(path).map_err(failed("list", path))?;
        let number = |name: &String| name.strip_suffix(ENDING)?.parse::<u64>().ok();
        let newest = names.iter().filter_map(number).max().unwrap_or(0);
        let help = "Bytes of records in the dead letter";
        let dead_letter = Self {
            dir: path.to_owned(),
            max_bytes,
            used_bytes: metrics.gauge("dead_letter_bytes", help, &[]),
            state: Mutex::new(State { open: None, newest }),
        };
        dead_letter.measure()?;
        Ok(dead_letter)
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
        let (file, len) = match state.open.take() {
            Some((file, len)) if len < FILE_BYTES => (file, len),
            _ => self.next_file(&mut state)?,
        };
        let written = files::write_all(&file, &mut [IoSlice::new(&lines)])
            .and_then(|()| files::sync_data(&file));
        if let Err(source) = written {
            // The next call begins a new file: lines behind a broken one would be hard to read.
            drop(files::cut(&file, len));
            return Err(failed("write to", &self.dir)(source));
        }
        state.open = Some((file, len + lines.len() as u64));
        drop(state);
        self.measure().map(drop)
    }

    /// A file with a number of its own. Files of earlier processes are left alone: their last line may be cut off.
    fn next_file(&self, state: &mut State) -> Result<(File, u64), DeadLetterError> {
        state.newest += 1;
        let path = self.dir.join(format!("{:08}{ENDING}", state.newest));
        let file = files::create_new(&path).map_err(failed("make", &path))?;
        files::sync_dir(&self.dir).map_err(failed("sync", &self.dir))?;
        Ok((file, 0))
    }

    /// What the files occupy now: an operator may have moved some away.
    fn measure(&self) -> Result<u64, DeadLetterError> {
        let bytes = files::dir_bytes(&self.dir).map_err(failed("list", &self.dir))?;
        self.used_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        Ok(bytes)
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DeadLetterError {
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
