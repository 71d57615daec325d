//! Looking at the directory of a buffer without touching it. No lock is taken and nothing is written, so a router may
//! be using it: what it removes or adds meanwhile is no error.

mod elsewhere;
mod group;
mod held;
mod view;

use std::{
    collections::HashMap,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use self::{elsewhere::quarantined, group::Group};
pub use self::{
    held::Held,
    view::{DamageView, SegmentView, Tally},
};
use super::{
    error::BufferError,
    files::{self, Files, OpenFile},
    frame::{Decoded, Kind},
    identity,
    layout::chunk_of,
    ranges::Ranges,
    salt::find_salt,
    scan::Spot,
    segment::{SEGMENT_HEADER_LEN, SegmentHeader},
    state,
    walk::{Found, Lost, walk},
};

/// What stands in the directory of a buffer.
#[derive(Debug)]
pub struct Inspection {
    /// The directory.
    pub path: PathBuf,
    /// Id of the buffer; `None` when it has no segment with a whole header and no `FORMAT`.
    pub id: Option<u128>,
    /// Its segments, oldest first.
    pub segments: Vec<SegmentView>,
    /// Segments that were made, are not removed, and are nowhere.
    pub missing: Vec<String>,
    /// Files in quarantine, without the notes beside them.
    pub quarantined: Vec<String>,
    done: Ranges,
    /// Frames that were written and never became durable.
    void: Ranges,
    groups: HashMap<u64, Group>,
    /// The newest sequence that is lost to damage.
    newest_lost: Option<u64>,
    files: Files,
}

impl Inspection {
    /// Reads everything.
    ///
    /// # Errors
    /// [`BufferError`]: it is no buffer, of a newer format, or cannot be read.
    pub fn look(path: &Path) -> Result<Self, BufferError> {
        let files = Files::system();
        let names = files
            .segments(path)
            .map_err(BufferError::io("list", path))?;
        let mut id = identity::read_format(&files, path)?;
        if names.is_empty() && id.is_none() {
            return Err(BufferError::NotABuffer {
                path: path.to_owned(),
            });
        }
        let mut headers = Vec::new();
        for first in names {
            match identity::header(&files, path, first) {
                Ok(header) => headers.push((first, header)),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let newest = headers.iter().rev().find_map(|(_, header)| *header);
        id = newest.map(|header| header.buffer).or(id);
        let noted = id
            .map(|id| state::read(&files, path, id))
            .unwrap_or_default();
        let mut inspection = Self {
            path: path.to_owned(),
            id,
            segments: Vec::new(),
            quarantined: quarantined(&files, path)?,
            missing: Vec::new(),
            done: noted.done,
            void: void(&headers),
            groups: HashMap::new(),
            newest_lost: None,
            files,
        };
        for (first, header) in headers {
            inspection.segment(first, header)?;
        }
        inspection.settle_groups();
        inspection.find_missing(&noted.segments);
        Ok(inspection)
    }

    fn segment(&mut self, first: u64, header: Option<SegmentHeader>) -> Result<(), BufferError> {
        let path = files::segment_path(&self.path, first);
        let (file, bytes) = match self.files.open(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(BufferError::io("open", path)(error)),
        };
        let mut view = SegmentView {
            name: name_of(&path),
            bytes,
            created_ms: header.map(|header| header.created_ms),
            first,
            ..SegmentView::default()
        };
        let is_foreign =
            header.is_some_and(|header| Some(header.buffer) != self.id || header.first != first);
        if is_foreign {
            view.all_damaged("a segment of another buffer, or with another name");
        } else if let Some(salt) =
            salt_of(&file, first, header, bytes).map_err(BufferError::io("read", &path))?
        {
            view.salt = Some(salt);
            if header.is_none() {
                let range = 0..SEGMENT_HEADER_LEN as u64;
                self.damaged(
                    &mut view,
                    Lost {
                        range,
                        sequences: first..first,
                        records: Some(0),
                    },
                );
            }
            self.frames(&mut view, file, salt);
        } else if bytes > SEGMENT_HEADER_LEN as u64 {
            view.all_damaged("neither a whole header nor a frame");
            self.newest_lost = self.newest_lost.max(Some(first));
        }
        self.segments.push(view);
        Ok(())
    }

    fn frames(&mut self, view: &mut SegmentView, file: OpenFile, salt: u32) {
        let (first, len) = (view.first, view.bytes);
        let void = self.void.clone();
        let mut at = SEGMENT_HEADER_LEN as u64;
        let walked = walk(file, first, salt, len, &void, &mut |found| match found {
            Found::Frame(spot, decoded) => {
                at = spot.range().end;
                self.frame(view, &spot, &decoded);
            }
            Found::Damage(lost) => {
                at = lost.range.end;
                self.damaged(view, lost);
            }
            Found::Cut(range) => view.cut_bytes = range.end - range.start,
            Found::Sealed => view.is_sealed = true,
        });
        if let Err(error) = walked {
            let offset = at.min(len);
            view.damage.push(DamageView {
                offset,
                bytes: len - offset,
                what: format!("cannot be read: {error}"),
                records: None,
                is_copied: false,
            });
        }
    }

    fn frame(&mut self, view: &mut SegmentView, spot: &Spot, decoded: &Decoded) {
        let header = spot.header;
        let size = Tally {
            frames: 1,
            records: header.count.into(),
            bytes: header.total(),
        };
        let is_done = self.done.contains(header.sequence);
        if let Some(group) = decoded.group {
            let place = self.segments.len();
            let group = self.groups.entry(group).or_default();
            group.newest = group.newest.max(header.sequence);
            if header.kind == (Kind::Piece { last: true }) {
                group.is_complete = true;
                group.chunk = chunk_of(&decoded.frame);
            }
            if !is_done {
                group.pieces.push((place, size, header.stored_ms));
                return;
            }
        }
        if is_done {
            view.done.add(size);
        } else {
            view.hold(size, header.stored_ms);
        }
    }

    fn damaged(&mut self, view: &mut SegmentView, lost: Lost) {
        let Lost {
            range,
            sequences,
            records,
        } = lost;
        let bytes = range.end - range.start;
        self.newest_lost = self.newest_lost.max(sequences.clone().last());
        let all_done = sequences.clone().all(|lost| self.done.contains(lost));
        let copy = format!("{:016x}-{:08x}-{bytes}.bin", view.first, range.start);
        let what = match sequences.end - sequences.start {
            0 if range.start == 0 => "the header of the segment".to_owned(),
            1 => format!("frame {}", sequences.start),
            _ => format!("frames from {} on", sequences.start),
        };
        view.damage.push(DamageView {
            offset: range.start,
            bytes,
            what,
            // What was delivered before is damaged, but not lost.
            records: if all_done { Some(0) } else { records },
            is_copied: self.quarantined.contains(&copy),
        });
    }

    /// What is to be delivered.
    pub fn held(&self) -> Tally {
        self.sum(|view| view.held)
    }

    /// What is done and still there.
    pub fn done(&self) -> Tally {
        self.sum(|view| view.done)
    }

    /// Pieces of messages that are not complete.
    pub fn open(&self) -> Tally {
        self.sum(|view| view.open)
    }

    fn sum(&self, of: impl Fn(&SegmentView) -> Tally) -> Tally {
        let mut sum = Tally::default();
        self.segments.iter().for_each(|view| sum.add(of(view)));
        sum
    }

    /// When the oldest frame that is held was stored, in milliseconds since 1970.
    pub fn oldest_ms(&self) -> Option<u64> {
        self.segments.iter().filter_map(|view| view.oldest_ms).min()
    }

    /// Every damage, with the name of its file.
    pub fn damage(&self) -> impl Iterator<Item = (&str, &DamageView)> {
        self.segments
            .iter()
            .flat_map(|view| view.damage.iter().map(|damage| (&*view.name, damage)))
    }
}

fn void(headers: &[(u64, Option<SegmentHeader>)]) -> Ranges {
    let mut void = Ranges::default();
    for header in headers.iter().filter_map(|(_, header)| *header) {
        if let Some(from) = header.void_from {
            void.insert(from, header.first.saturating_sub(1));
        }
    }
    void
}

fn salt_of(
    file: &OpenFile,
    first: u64,
    header: Option<SegmentHeader>,
    len: u64,
) -> io::Result<Option<u32>> {
    match header {
        Some(header) => Ok(Some(header.salt)),
        None => find_salt(file, first, len),
    }
}

fn is_gone(error: &BufferError) -> bool {
    matches!(error, BufferError::Io { source, .. } if source.kind() == ErrorKind::NotFound)
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
