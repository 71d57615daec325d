//! Large messages of an earlier process: their pieces are come across one by one, in one segment after the other.

use super::{
    chunk::Mark, layout::Group, recover::Recovery, segment::FRAMES_MAX, survey::FoundPiece,
};

/// What is taken for the end of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strength {
    /// Its last piece.
    Sure,
    /// A lost frame behind its pieces too: it may have been the last piece, and a record too often is better than one
    /// too few.
    Likely,
}

impl Recovery {
    /// These pieces were come across.
    pub(super) fn add_pieces(&mut self, pieces: &[FoundPiece]) {
        for piece in pieces {
            let group = self.pieces.entry(piece.group).or_default();
            group.push(piece.clone());
        }
    }

    /// Takes out the messages that are complete. Done ones are forgotten.
    pub(super) fn complete_groups(&mut self, strength: Strength) -> Vec<(u64, Group)> {
        let mut complete = Vec::new();
        let ids: Vec<u64> = self.pieces.keys().copied().collect();
        for id in ids {
            let marker = self.pieces.get(&id).and_then(|pieces| marker(pieces));
            let marker = match strength {
                Strength::Sure => marker.filter(|(marker, _)| !self.may_miss_pieces(id, *marker)),
                Strength::Likely => marker.or_else(|| self.lost_marker(id)),
            };
            let Some(marker) = marker else { continue };
            if let Some(pieces) = self.pieces.remove(&id) {
                complete.extend(group(pieces, marker).map(|group| (id, group)));
            }
        }
        complete
    }

    /// Whether pieces of a message may be in a segment that could not be read yet.
    fn may_miss_pieces(&self, id: u64, marker: u64) -> bool {
        let may_hold = |first: u64| first <= marker && id < first + u64::from(FRAMES_MAX);
        self.unreadable.iter().any(|old| may_hold(old.first))
    }

    /// A frame behind the pieces of a message that is lost.
    fn lost_marker(&self, id: u64) -> Option<(u64, bool)> {
        let pieces = self.pieces.get(&id)?;
        if pieces.iter().all(|piece| piece.done) {
            return None;
        }
        let newest = pieces.iter().map(|piece| piece.piece.sequence).max()?;
        let lost = self.lost.iter().chain(&self.aside).copied();
        Some((lost.filter(|lost| *lost > newest).max()?, true))
    }

    /// Gives up the messages that are left. Returns their records, and what they occupy.
    pub(super) fn give_up(&mut self) -> (u64, Vec<Mark>) {
        let pieces = std::mem::take(&mut self.pieces).into_values().flatten();
        let pieces: Vec<FoundPiece> = pieces.filter(|piece| !piece.done).collect();
        let records = pieces
            .iter()
            .map(|piece| u64::from(piece.piece.count))
            .sum();
        let marks = pieces.iter().map(|piece| piece.piece.mark(None));
        (records, marks.collect())
    }
}

/// The sequence of the last piece, and whether that is done.
fn marker(pieces: &[FoundPiece]) -> Option<(u64, bool)> {
    let last = pieces.iter().find(|piece| piece.last)?;
    Some((last.piece.sequence, last.done))
}

/// A complete message; `None` when all of it is done.
fn group(pieces: Vec<FoundPiece>, (marker, marker_done): (u64, bool)) -> Option<Group> {
    let last = pieces.iter().find(|piece| piece.last);
    let chunk = last.map(|last| last.chunk.clone()).unwrap_or_default();
    let live = pieces.into_iter().filter(|piece| !piece.done);
    let mut group = Group {
        pieces: live.map(|piece| piece.piece).collect(),
        marker: Some(marker),
        marker_done,
        chunk,
        ..Group::default()
    };
    let others = group.pieces.iter();
    group.others_left = others.filter(|piece| piece.sequence != marker).count();
    (!group.pieces.is_empty()).then_some(group)
}
