//! Files that were read to their end and may still be there under another name.

use std::collections::VecDeque;

use crate::{identity::FileId, positions::Mark};

/// How many are remembered.
const MARKS_MAX: usize = 1024;

/// The last ones, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Done(VecDeque<Mark>);

impl Done {
    pub(crate) fn new(marks: Vec<Mark>) -> Self {
        Self(marks.into())
    }

    pub(crate) fn add(&mut self, mark: Mark) {
        if mark.print.len == 0 {
            return;
        }
        self.0.retain(|other| other.print != mark.print);
        if self.0.len() >= MARKS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(mark);
    }

    /// How far the text was read that begins with `head`.
    pub(crate) fn read_of(&self, head: &[u8]) -> Option<u64> {
        self.0
            .iter()
            .rev()
            .find(|mark| mark.print.proves(head))
            .map(|mark| mark.offset)
    }

    /// The same for a file, which must be the same one, too.
    pub(crate) fn offset_of(&self, id: FileId, head: &[u8]) -> Option<u64> {
        self.0
            .iter()
            .rev()
            .find(|mark| mark.id == id && mark.print.proves(head))
            .map(|mark| mark.offset)
    }

    pub(crate) fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.0.iter()
    }
}
