//! From a chunk to lines of text, sorted by the file they go to.

use std::{collections::HashMap, path::PathBuf};

use sdk::{
    event::{RawEvent, Tag, Time},
    formatter::FormatError,
    output::{ChunkView, Failure, FailureKind, Frame, Verdict},
};

use crate::{
    layout::{Layout, LineWriter},
    location::{Location, Scope},
};

/// What of a chunk goes into one file.
#[derive(Debug)]
pub(crate) struct Portion {
    pub(crate) path: PathBuf,
    pub(crate) text: Vec<u8>,
    /// Places of the records in the chunk.
    pub(crate) records: Vec<u32>,
    /// The latest time of an event in it.
    pub(crate) newest: Time,
}

/// A chunk as text.
#[derive(Debug)]
pub(crate) struct Lines {
    /// In the order in which the files come up.
    pub(crate) portions: Vec<Portion>,
    /// Records that cannot be written.
    pub(crate) except: Vec<(u32, Verdict)>,
}

/// Writes the live records of `chunk` as lines.
pub(crate) fn gather(layout: &Layout, location: &Location, chunk: ChunkView<'_>) -> Lines {
    let mut gather = Gather {
        finder: Finder::new(location),
        writer: layout.writer(),
        lines: Lines {
            portions: Vec::new(),
            except: Vec::new(),
        },
    };
    let mut first = 0;
    for frame in chunk.frames {
        gather.frame(chunk, frame, first);
        first += frame.count;
    }
    gather.lines
}

struct Gather<'a> {
    finder: Finder<'a>,
    writer: LineWriter<'a>,
    lines: Lines,
}

impl Gather<'_> {
    /// Writes one frame; `first` is the place of its first record in the chunk.
    fn frame(&mut self, chunk: ChunkView<'_>, frame: &Frame, first: u32) {
        self.finder.last = None;
        self.writer.start_frame(&frame.tag);
        let mut entries = frame.entries();
        for index in first..first + frame.count {
            let error = match entries.next() {
                Some(Ok(_)) if !chunk.is_live(index) => continue,
                Some(Ok(event)) => match self.event(&frame.tag, event, index) {
                    Ok(()) => continue,
                    Err(error) => error.to_string(),
                },
                Some(Err(error)) => error.to_string(),
                None => "there is no record here".to_owned(),
            };
            if chunk.is_live(index) {
                let failure = Failure::new(FailureKind::Serialize, error);
                self.lines.except.push((index, Verdict::Reject(failure)));
            }
        }
    }

    fn event(&mut self, tag: &Tag, event: RawEvent<'_>, index: u32) -> Result<(), FormatError> {
        let place = self.finder.find(tag, event, &mut self.lines.portions);
        let Some(portion) = self.lines.portions.get_mut(place) else {
            return Ok(());
        };
        self.writer.write(&mut portion.text, tag, &event)?;
        portion.records.push(index);
        portion.newest = portion.newest.max(event.time);
        Ok(())
    }
}

/// Finds the portion of an event, and fills in its path only when it may have changed.
struct Finder<'a> {
    location: &'a Location,
    scope: Scope,
    zone: jiff::tz::TimeZone,
    by_path: HashMap<PathBuf, usize>,
    /// The second and the portion of the event before, in the same frame.
    last: Option<(i64, usize)>,
}

impl<'a> Finder<'a> {
    fn new(location: &'a Location) -> Self {
        Self {
            location,
            scope: location.scope(),
            zone: location.zone(),
            by_path: HashMap::new(),
            last: None,
        }
    }

    fn find(&mut self, tag: &Tag, event: RawEvent<'_>, portions: &mut Vec<Portion>) -> usize {
        let secs = event.time.secs;
        let known = self.last.filter(|(last_secs, _)| match self.scope {
            Scope::Frame => true,
            Scope::Second => *last_secs == secs,
            Scope::Event => false,
        });
        if let Some((_, place)) = known {
            return place;
        }
        let path = self.location.path(&(tag, event), &self.zone);
        let place = *self.by_path.entry(path).or_insert_with_key(|path| {
            portions.push(Portion {
                path: path.clone(),
                text: Vec::new(),
                records: Vec::new(),
                newest: event.time,
            });
            portions.len() - 1
        });
        self.last = Some((secs, place));
        place
    }
}
