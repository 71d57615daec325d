//! The journal: the parts that were acknowledged and whose line is not stored yet, on disk.
//!
//! One file `parts` in a directory of its own. It begins with the 8 bytes `WEIRPRT1`; frames follow, each of
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | `WPF1`, so that the next frame is found behind damage |
//! | 4 | length of the body, little endian like all numbers here |
//! | 4 | CRC-32C of the body |
//! | n | the body |
//!
//! and a body of
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | 1: a part. 2: parts of this line up to this number are stored |
//! | 1 | of a part whether it is the last one; otherwise whether the line is whole now |
//! | 4 | the number of the part |
//! | 2 + n | the tag, its length before it |
//! | 2 + n | `partial_id` |
//! | rest | the entry of the part |
//!
//! A part that comes again replaces the first; what is stored counts for the parts before it in the file. Whenever
//! the file is opened, and when most of it is of no more use, it is written anew beside the old one and renamed. What
//! is damaged is passed over and said; a copy of the file stays as `parts.damaged`. A frame that is cut off at the end
//! is what a crash leaves, and was never acknowledged.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use memchr::memmem;
use sdk::event::{Entries, Tag};

use super::{
    lines::{Key, Part},
    recent::Recent,
};

const FILE_MAGIC: &[u8] = b"WEIRPRT1";
const FRAME_MAGIC: &[u8] = b"WPF1";
const FRAME_HEADER_LEN: usize = 12;
/// The file may be so long, and twice the length of what is needed of it, before it is written anew.
const SLACK_BYTES: u64 = 4 << 20;

/// What is noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    /// A part to be kept.
    Part(Part),
    /// The parts of a line up to `upto` are stored.
    Done {
        key: Key,
        upto: u32,
        /// Nothing more belongs to the line.
        is_whole: bool,
    },
}

/// What was in the file.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Parts whose line is not stored.
    pub(super) parts: Vec<Part>,
    /// Lines that were stored last.
    pub(super) stored: Vec<Key>,
    /// Bytes before a sound frame that are damaged.
    pub(super) damaged_bytes: usize,
    /// Bytes of a frame that is cut off at the end.
    pub(super) torn_bytes: usize,
}

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    /// Held as long as it is open.
    _lock: File,
    /// `None` after a failure: then the file is written anew before anything else.
    file: Option<File>,
    file_bytes: u64,
    live: Live,
    scratch: Vec<u8>,
}

/// What the file is for.
#[derive(Debug, Default)]
struct Live {
    parts: HashMap<Key, BTreeMap<u32, (bool, Bytes)>>,
    /// Bytes of the entries.
    bytes: u64,
    recent: Recent,
}

impl Journal {
    /// Opens the journal in this directory, which is made when it is missing.
    ///
    /// # Errors
    /// Of the file system; `WouldBlock` when another process has it open.
    pub(super) fn open(dir: &Path) -> io::Result<(Self, Found)> {
        if !dir.is_dir() {
            fs::create_dir_all(dir)?;
        }
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        let lock = options.open(dir.join("LOCK"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                "it is in use by another process: give each its own data_dir",
            ),
        })?;
        let bytes = match fs::read(dir.join("parts")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let (live, damaged_bytes, torn_bytes) = recover(bytes.into());
        if damaged_bytes > 0 {
            // Only for people; without it there is less to look at.
            drop(fs::copy(dir.join("parts"), dir.join("parts.damaged")));
        }
        let found = Found {
            parts: live.parts().collect(),
            stored: live.recent.iter().cloned().collect(),
            damaged_bytes,
            torn_bytes,
        };
        let mut journal = Self {
            dir: dir.to_owned(),
            _lock: lock,
            file: None,
            file_bytes: 0,
            live,
            scratch: Vec::new(),
        };
        journal.rewrite()?;
        Ok((journal, found))
    }

    /// Notes all of these. Parts are on disk when it returns.
    ///
    /// # Errors
    /// Of the file system. Nothing of it may be acknowledged; the next call begins with a new file.
    pub(super) fn note(&mut self, notes: impl IntoIterator<Item = Note>) -> io::Result<()> {
        self.scratch.clear();
        let mut has_parts = false;
        for note in notes {
            encode(&note, &mut self.scratch);
            has_parts |= matches!(note, Note::Part(_));
            self.live.apply(note);
        }
        let needed = self.live.bytes * 2 + SLACK_BYTES;
        if self.file.is_none() || self.file_bytes + self.scratch.len() as u64 > needed {
            return self.rewrite();
        }
        let written = self.append(has_parts);
        if written.is_err() {
            self.file = None;
        }
        written
    }

    fn append(&mut self, durably: bool) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(&self.scratch)?;
            self.file_bytes += self.scratch.len() as u64;
            if durably {
                file.sync_data()?;
            }
        }
        Ok(())
    }

    /// Writes what is needed into a new file that takes the place of the old one.
    fn rewrite(&mut self) -> io::Result<()> {
        self.file = None;
        let (new, path) = (self.dir.join("parts.new"), self.dir.join("parts"));
        let mut file = File::create(&new)?;
        let mut bytes = FILE_MAGIC.to_vec();
        for key in self.live.recent.iter().cloned() {
            let done = Note::Done {
                key,
                upto: 0,
                is_whole: true,
            };
            encode(&done, &mut bytes);
        }
        let mut file_bytes = 0;
        for part in self.live.parts() {
            encode(&Note::Part(part), &mut bytes);
            file.write_all(&bytes)?;
            file_bytes += bytes.len() as u64;
            bytes.clear();
        }
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(&self.dir)?.sync_all()?;
        self.file_bytes = file_bytes + bytes.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    /// Closes it. Without anything to keep it leaves no file behind.
    ///
    /// # Errors
    /// Of the file system.
    pub(super) fn close(self) -> io::Result<()> {
        if self.live.parts.is_empty() {
            fs::remove_file(self.dir.join("parts"))?;
        }
        Ok(())
    }
}

impl Live {
    fn apply(&mut self, note: Note) {
        match note {
            Note::Part(Part {
                key,
                ordinal,
                is_last,
                entry,
            }) => {
                self.bytes += entry.len() as u64;
                let parts = self.parts.entry(key).or_default();
                if let Some((_, was)) = parts.insert(ordinal, (is_last, entry)) {
                    self.bytes -= was.len() as u64;
                }
            }
            Note::Done {
                key,
                upto,
                is_whole,
            } => {
                if let Some(parts) = self.parts.get_mut(&key) {
                    let later = parts.split_off(&upto.saturating_add(1));
                    let stored = std::mem::replace(parts, later);
                    let bytes = stored.values().map(|(_, entry)| entry.len() as u64);
                    self.bytes -= bytes.sum::<u64>();
                    if parts.is_empty() {
                        self.parts.remove(&key);
                    }
                }
                if is_whole {
                    self.recent.add(key);
                }
            }
        }
    }

    fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        self.parts.iter().flat_map(|(key, parts)| {
            parts.iter().map(|(ordinal, (is_last, entry))| Part {
                key: key.clone(),
                ordinal: *ordinal,
                is_last: *is_last,
                entry: entry.clone(),
            })
        })
    }
}

/// What counts of a file, the bytes that are damaged, and the bytes that are cut off at its end.
fn recover(mut file: Bytes) -> (Live, usize, usize) {
    let (mut live, mut damaged, mut skipped) = (Live::default(), 0, 0);
    if file.starts_with(FILE_MAGIC) {
        drop(file.split_to(FILE_MAGIC.len()));
    }
    while !file.is_empty() {
        if let Some((note, len)) = decode(&file) {
            live.apply(note);
            drop(file.split_to(len));
            damaged += std::mem::take(&mut skipped);
            continue;
        }
        let next = file
            .get(1..)
            .and_then(|rest| memmem::find(rest, FRAME_MAGIC));
        let step = next.map_or(file.len(), |next| next + 1);
        drop(file.split_to(step));
        skipped += step;
    }
    (live, damaged, skipped)
}

fn encode(note: &Note, out: &mut Vec<u8>) {
    let (kind, flag, ordinal, key, entry): (u8, bool, u32, &Key, &[u8]) = match note {
        Note::Part(part) => (1, part.is_last, part.ordinal, &part.key, &part.entry),
        Note::Done {
            key,
            upto,
            is_whole,
        } => (2, *is_whole, *upto, key, &[]),
    };
    let mut body = Vec::with_capacity(entry.len() + key.id.len() + key.tag.as_str().len() + 10);
    body.extend_from_slice(&[kind, flag.into()]);
    body.extend_from_slice(&ordinal.to_le_bytes());
    for text in [key.tag.as_str().as_bytes(), &key.id] {
        // Both are far shorter: tags on the wire have a limit, and so have ids.
        body.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
        body.extend_from_slice(text);
    }
    body.extend_from_slice(entry);
    out.extend_from_slice(FRAME_MAGIC);
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    out.extend_from_slice(&body);
}

/// The frame at the beginning of `bytes`, and its length; `None` when there is no sound one.
fn decode(bytes: &Bytes) -> Option<(Note, usize)> {
    let (header, rest) = bytes.split_at_checked(FRAME_HEADER_LEN)?;
    let header = header.strip_prefix(FRAME_MAGIC)?;
    let (len, crc) = header.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
    let body = rest.get(..len)?;
    if crc32c::crc32c(body).to_le_bytes() != crc {
        return None;
    }
    let (&[kind, flag], body) = body.split_first_chunk::<2>()?;
    let (ordinal, body) = body.split_first_chunk::<4>()?;
    let ordinal = u32::from_le_bytes(*ordinal);
    let (tag, body) = text(body)?;
    let (id, entry) = text(body)?;
    let key = Key {
        tag: Tag::new(std::str::from_utf8(tag).ok()?),
        id: Arc::from(id),
    };
    let note = match kind {
        1 => {
            let mut entries = Entries::new(entry);
            entries.next()?.ok()?;
            Note::Part(Part {
                key,
                ordinal,
                is_last: flag != 0,
                entry: Bytes::copy_from_slice(entry),
            })
        }
        2 => Note::Done {
            key,
            upto: ordinal,
            is_whole: flag != 0,
        },
        _ => return None,
    };
    Some((note, FRAME_HEADER_LEN + len))
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))
}
