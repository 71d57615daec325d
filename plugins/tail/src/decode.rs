//! What an input makes of lines.

use std::path::Path;

use sdk::event::Tag;
use tokio::time::Instant;

/// Where a line begins: the number of its file within the engine, and the offset in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Grows from file to file of a stream.
    pub generation: u64,
    /// From the head of the file; of the text, where the file is compressed.
    pub offset: u64,
}

/// Where the lines began that are held back because their record is not complete. No position moves beyond them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places(Vec<Place>);

impl Places {
    /// A line is held. Only the first one of each file counts.
    #[inline]
    pub fn hold(&mut self, place: Place) {
        if self
            .0
            .last()
            .is_none_or(|last| last.generation != place.generation)
        {
            self.0.push(place);
        }
    }

    /// Nothing is held any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first held line of this file.
    pub fn in_generation(&self, generation: u64) -> Option<u64> {
        self.0
            .iter()
            .find(|place| place.generation == generation)
            .map(|place| place.offset)
    }
}

/// What is collected for one batch.
#[derive(Debug, Default)]
pub struct Events {
    /// Entries back to back.
    pub bytes: Vec<u8>,
    /// Their number.
    pub count: u32,
}

/// A stream that is to be followed.
#[derive(Debug)]
pub struct Opened<S> {
    /// The tag of its events.
    pub tag: Tag,
    /// What [`Decode`] keeps for it.
    pub state: S,
}

/// Turns lines into events. One for each input; what it has to remember of a stream is in `Stream`.
pub trait Decode: Send + 'static {
    /// What is remembered of one stream.
    type Stream: Send;

    /// A path is seen for the first time; `real` is where its links lead. `None` leaves it out.
    fn open(&mut self, path: &Path, real: &Path) -> Option<Opened<Self::Stream>>;

    /// A read of the stream begins; how many lines it may have. With 0 it is left for later.
    fn turn(&mut self, stream: &mut Self::Stream, now: Instant) -> usize {
        let _ = (stream, now);
        usize::MAX
    }

    /// A line without its end.
    fn line(&mut self, stream: &mut Self::Stream, line: &[u8], place: Place, out: &mut Events);

    /// Writes what is held back, because nothing more has come for a while.
    fn flush(&mut self, stream: &mut Self::Stream, out: &mut Events) {
        let _ = (stream, out);
    }

    /// The first lines held back in this file; `None` when there are none.
    fn held(&self, stream: &Self::Stream, generation: u64) -> Option<u64> {
        let _ = (stream, generation);
        None
    }

    /// Whether anything is held back.
    fn is_holding(&self, stream: &Self::Stream) -> bool {
        let _ = stream;
        false
    }

    /// Forgets what is held back: it will be read again.
    fn rewind(&mut self, stream: &mut Self::Stream) {
        let _ = stream;
    }

    /// The stream is gone.
    fn close(&mut self, stream: &mut Self::Stream) {
        let _ = stream;
    }
}
