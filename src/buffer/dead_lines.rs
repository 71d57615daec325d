//! Reading what a dead letter wrote: the lines of its files, for looking at them and for replaying them.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use sdk::event::{Entries, Tag};
use serde::Deserialize;

use super::{
    dead_letter::{DeadLetterError, ENDING, failed},
    files::Files,
};

/// Longest line that is read, in bytes: a record of the largest frame, once as JSON and once in base64.
const LINE_MAX: u64 = 512 << 20;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLine {
    /// The line as it stands there, without its end.
    pub text: String,
    /// Tag of the record.
    pub tag: Tag,
    /// Why: a value of the label `kind`. Empty where the line was not written by a dead letter.
    pub kind: String,
    /// What the destination said.
    pub message: String,
    /// When it was given up, RFC 3339.
    pub failed_at: String,
    /// `[time, record]` as MessagePack.
    pub entry: Bytes,
}

/// A line that cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[error("{}, line {line}: {problem}", path.display())]
pub struct BadLine {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: String,
}

/// The fields of a line that are needed; others may be there.
#[derive(Deserialize)]
struct Fields {
    tag: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    failed_at: String,
    entry: String,
}

/// The files of a dead letter, oldest first: those that a replay has taken and not finished, then the others.
///
/// # Errors
/// The directory cannot be listed.
pub fn dead_files(dir: &Path) -> Result<Vec<PathBuf>, DeadLetterError> {
    let mut found = Vec::new();
    for dir in [dir.join(super::claim::REPLAYING), dir.to_owned()] {
        let mut names = match Files::system().names(&dir) {
            Ok(names) => names,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed("list", &dir)(error)),
        };
        names.retain(|name| name.ends_with(ENDING));
        names.sort_unstable();
        found.extend(names.into_iter().map(|name| dir.join(name)));
    }
    Ok(found)
}

/// The lines of a file, one after the other. A line without an end is the last of a process that was killed, and is
/// left out: its record is still in the buffer.
///
/// # Errors
/// The file cannot be opened.
pub fn dead_lines(path: &Path) -> Result<DeadLines, DeadLetterError> {
    let file = File::open(path).map_err(failed("open", path))?;
    Ok(DeadLines {
        path: path.to_owned(),
        input: BufReader::new(file),
        line: 0,
    })
}

/// Iterator over the lines of a file. It goes on behind a line that is wrong.
#[derive(Debug)]
pub struct DeadLines {
    path: PathBuf,
    input: BufReader<File>,
    line: u64,
}

impl Iterator for DeadLines {
    type Item = Result<DeadLine, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut text = Vec::new();
        self.line += 1;
        let read = (&mut self.input)
            .take(LINE_MAX)
            .read_until(b'\n', &mut text);
        match read {
            Err(error) => Some(Err(self.bad(format!("cannot be read: {error}")))),
            Ok(0) => None,
            Ok(len) if len as u64 == LINE_MAX => Some(Err(self.bad("is too long".to_owned()))),
            Ok(_) if text.pop() != Some(b'\n') => None,
            Ok(_) => Some(decode(text).map_err(|problem| self.bad(problem))),
        }
    }
}

impl DeadLines {
    fn bad(&self, problem: String) -> BadLine {
        BadLine {
            path: self.path.clone(),
            line: self.line,
            problem,
        }
    }
}

fn decode(text: Vec<u8>) -> Result<DeadLine, String> {
    let text = String::from_utf8(text).map_err(|_| "is not text".to_owned())?;
    let fields: Fields = serde_json::from_str(&text)
        .map_err(|error| format!("is not a line of a dead letter: {error}"))?;
    let entry = BASE64
        .decode(&fields.entry)
        .map_err(|error| format!("its `entry` is not base64: {error}"))?;
    let mut entries = Entries::new(&entry);
    if !matches!((entries.next(), entries.next()), (Some(Ok(_)), None)) {
        return Err("its `entry` is not one [time, record]".to_owned());
    }
    Ok(DeadLine {
        tag: Tag::new(&fields.tag),
        kind: fields.kind,
        message: fields.message,
        failed_at: fields.failed_at,
        entry: entry.into(),
        text,
    })
}
