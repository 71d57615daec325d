//! Chunks in line for a worker. Those of one lane leave in their order; lanes do not wait for each other.

use std::collections::{BTreeMap, HashMap};

use super::{chunk::Parcel, chunk_keys::Key};

/// The chunks in line, by the sequence of their first frame.
#[derive(Debug, Default)]
pub(super) struct Line {
    lanes: HashMap<Key, BTreeMap<u64, Parcel>>,
    /// The first chunk of each lane.
    fronts: BTreeMap<u64, Key>,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.fronts.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.values().map(BTreeMap::len).sum()
    }

    pub(super) fn lane_count(&self) -> usize {
        self.fronts.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Parcel> + '_ {
        self.lanes.values().flat_map(BTreeMap::values)
    }

    /// Sequence of the oldest chunk.
    pub(super) fn first(&self) -> Option<u64> {
        self.fronts.first_key_value().map(|(first, _)| *first)
    }

    /// Puts a chunk into a lane.
    pub(super) fn put(&mut self, lane: Key, parcel: Parcel) {
        self.change(lane, |chunks| chunks.insert(parcel.first(), parcel));
    }

    /// Takes the oldest chunk whose lane is free.
    pub(super) fn take(&mut self, is_free: impl Fn(&Key) -> bool) -> Option<Parcel> {
        let mut fronts = self.fronts.iter();
        let (first, lane) = fronts.find(|(_, lane)| is_free(lane))?;
        let (first, lane) = (*first, lane.clone());
        self.change(lane, |chunks| chunks.remove(&first))
    }

    /// Takes out all chunks of which this is true.
    pub(super) fn extract(&mut self, is_it: impl Fn(&Parcel) -> bool) -> Vec<Parcel> {
        let lanes = self.lanes.iter();
        let hit = lanes.filter(|(_, chunks)| chunks.values().any(&is_it));
        let hit: Vec<Key> = hit.map(|(lane, _)| lane.clone()).collect();
        let mut extracted = Vec::new();
        for lane in hit {
            self.change(lane, |chunks| {
                extracted.extend(chunks.extract_if(.., |_, parcel| is_it(parcel)));
            });
        }
        extracted.into_iter().map(|(_, parcel)| parcel).collect()
    }

    /// Changes one lane, and keeps the fronts right.
    fn change<T>(&mut self, lane: Key, change: impl FnOnce(&mut BTreeMap<u64, Parcel>) -> T) -> T {
        let chunks = self.lanes.entry(lane.clone()).or_default();
        let front = |chunks: &BTreeMap<u64, Parcel>| chunks.keys().next().copied();
        let before = front(chunks);
        let result = change(chunks);
        let after = front(chunks);
        if let Some(before) = before.filter(|_| before != after) {
            self.fronts.remove(&before);
        }
        match after {
            Some(after) => drop(self.fronts.insert(after, lane)),
            None => drop(self.lanes.remove(&lane)),
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{chunk::Mark, layout::Place};

    fn line(chunks: &[(&str, u64)]) -> Line {
        let mut line = Line::default();
        for (lane, sequence) in chunks {
            let mark = Mark {
                sequence: *sequence,
                group: None,
                count: 1,
                place: Place::default(),
            };
            let parcel = Parcel {
                marks: vec![mark],
                ..Parcel::default()
            };
            line.put(lane.as_bytes().into(), parcel);
        }
        line
    }

    #[test]
    fn the_oldest_whose_lane_is_free_comes_first() {
        let mut line = line(&[("b", 4), ("a", 3), ("a", 1), ("b", 2)]);
        let mut take = |busy: &str| {
            let parcel = line.take(|lane| **lane != *busy.as_bytes());
            parcel.map(|parcel| parcel.first())
        };
        assert_eq!(
            [
                take("a"),
                take("b"),
                take("b"),
                take("b"),
                take(""),
                take("")
            ],
            [Some(2), Some(1), Some(3), None, Some(4), None]
        );
        assert!(line.is_empty() && line.lanes.is_empty());
    }

    #[test]
    fn what_is_taken_out_of_a_lane_leaves_the_rest_in_order() {
        let mut line = line(&[("a", 1), ("a", 2), ("b", 3), ("b", 4)]);
        let gone = line.extract(|parcel| [1, 3, 4].contains(&parcel.first()));
        assert_eq!(gone.len(), 3);
        assert_eq!(
            (line.len(), line.lane_count(), line.first()),
            (1, 1, Some(2))
        );
        assert_eq!(line.iter().map(Parcel::first).collect::<Vec<_>>(), [2]);
    }
}
