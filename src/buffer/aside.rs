//! Chunks that wait for another try while others go on.
//!
//! Of a disk buffer's chunk, only the places of its frames stay in memory; it is read again when its time has come.

use std::collections::{BTreeMap, HashMap};

use sdk::output::Bitmap;
use tokio::time::Instant;

use super::{
    chunk::{Mark, Parcel},
    chunk_keys::Key,
    index::Index,
};

/// Most frames of which the places are kept, so that a flood of failing chunks of tiny frames stays bounded: some 60 MiB.
const FRAMES_MAX: usize = 1 << 20;

/// The chunks aside.
#[derive(Debug, Default)]
pub(super) struct Asides {
    /// By the time at which each is due.
    waiting: BTreeMap<(Instant, u64), Parcel>,
    /// Those that are due, the oldest first.
    due: BTreeMap<u64, Parcel>,
    /// How many chunks there are of each key.
    keys: HashMap<Key, usize>,
    frames: usize,
}

impl Asides {
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.due.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Parcel> + '_ {
        self.waiting.values().chain(self.due.values())
    }

    /// Puts one aside until then.
    pub(super) fn put(&mut self, parcel: Parcel, until: Instant) {
        self.frames += parcel.marks.len();
        if let Some(key) = &parcel.key {
            *self.keys.entry(key.clone()).or_default() += 1;
        }
        self.waiting.insert((until, parcel.first()), parcel);
    }

    /// When the next one is due; `None` when none waits.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let (until, _) = self.waiting.first_key_value()?.0;
        Some(*until)
    }

    /// Whether one is due.
    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty() || self.next_at().is_some_and(|next| next <= Instant::now())
    }

    /// Whether one is due; then it can be taken.
    pub(super) fn is_due(&mut self) -> bool {
        if !self.waiting.is_empty() {
            let later = self.waiting.split_off(&(Instant::now(), u64::MAX));
            let due = std::mem::replace(&mut self.waiting, later);
            let due = due.into_values().map(|parcel| (parcel.first(), parcel));
            self.due.extend(due);
        }
        !self.due.is_empty()
    }

    /// The oldest of those that are due.
    pub(super) fn take_due(&mut self) -> Option<Parcel> {
        let (_, parcel) = self.due.pop_first()?;
        self.took(&parcel);
        Some(parcel)
    }

    /// Takes out the oldest, due or not.
    pub(super) fn take_oldest(&mut self) -> Option<Parcel> {
        let waiting = self.waiting.keys().min_by_key(|(_, first)| *first).copied();
        let due = self.due.first_key_value().map(|(first, _)| *first);
        let parcel = match waiting {
            Some(key) if due.is_none_or(|due| key.1 < due) => self.waiting.remove(&key)?,
            _ => self.due.pop_first()?.1,
        };
        self.took(&parcel);
        Some(parcel)
    }

    fn took(&mut self, parcel: &Parcel) {
        self.frames -= parcel.marks.len();
        free(&mut self.keys, parcel);
    }

    /// Whether there is a chunk of this key.
    pub(super) fn holds(&self, key: &Key) -> bool {
        self.keys.contains_key(key)
    }

    /// Takes these frames out of the chunks they are in. Returns how many of their records were not settled.
    pub(super) fn remove(&mut self, which: impl Fn(&Mark) -> bool) -> (u64, Vec<Mark>) {
        let (mut records, mut removed) = (0, Vec::new());
        let keys = &mut self.keys;
        let mut remove = |parcel: &mut Parcel| {
            if parcel.marks.iter().any(&which) {
                records += parcel.remove(&which, &mut removed);
            }
            let is_left = !parcel.marks.is_empty();
            if !is_left {
                free(keys, parcel);
            }
            is_left
        };
        self.waiting.retain(|_, parcel| remove(parcel));
        self.due.retain(|_, parcel| remove(parcel));
        self.frames -= removed.len();
        (records, removed)
    }

    /// All of them are due now.
    pub(super) fn release(&mut self) {
        let all = std::mem::take(&mut self.waiting);
        let all = all.into_values().map(|parcel| (parcel.first(), parcel));
        self.due.extend(all);
    }
}

/// A chunk of this key is gone.
fn free(keys: &mut HashMap<Key, usize>, parcel: &Parcel) {
    let Some(key) = &parcel.key else { return };
    if let Some(count) = keys.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            keys.remove(key);
        }
    }
}

impl Parcel {
    /// Takes these frames out of a chunk that is not in memory. Returns how many of their records were not settled.
    pub(super) fn remove(&mut self, which: impl Fn(&Mark) -> bool, removed: &mut Vec<Mark>) -> u64 {
        let (mut gone, mut alive, mut place) = (0, Vec::new(), 0);
        for mark in std::mem::take(&mut self.marks) {
            let is_alive = |place: &u32| self.live.as_ref().is_none_or(|live| live.get(*place));
            let live = (place..place + mark.count).map(|place| is_alive(&place));
            place += mark.count;
            if which(&mark) {
                gone += live.filter(|alive| *alive).count() as u64;
                removed.push(mark);
            } else {
                alive.extend(live);
                self.marks.push(mark);
            }
        }
        if self.live.is_some() {
            let mut live = Bitmap::empty(u32::try_from(alive.len()).unwrap_or(u32::MAX));
            for (index, is_alive) in (0..).zip(alive) {
                live.set(index, is_alive);
            }
            self.live = Some(live);
        }
        gone
    }
}

impl Index {
    /// A chunk leaves its worker and waits until then. Gives it back when too much waits already.
    pub(super) fn set_aside(
        &mut self,
        number: u64,
        mut parcel: Parcel,
        until: Instant,
    ) -> Result<(), Parcel> {
        if self.aside.frames + parcel.marks.len() > FRAMES_MAX {
            return Err(parcel);
        }
        self.land(number);
        if self.on_disk {
            parcel.frames = Vec::new();
        }
        self.aside.put(parcel, until);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::buffer::{chunk::Mark, layout::Place};

    fn parcel(sequence: u64) -> Parcel {
        let mark = Mark {
            sequence,
            group: None,
            count: 1,
            place: Place::default(),
        };
        Parcel {
            marks: vec![mark],
            ..Parcel::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_of_those_that_are_due_comes_first() {
        let mut asides = Asides::default();
        let now = Instant::now();
        for (sequence, secs) in [(7, 1), (3, 2), (5, 9), (9, 2)] {
            asides.put(parcel(sequence), now + Duration::from_secs(secs));
        }
        assert!(!asides.is_due());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(asides.is_due());
        let mut taken = || asides.take_due().map(|parcel| parcel.first());
        assert_eq!(
            [taken(), taken(), taken(), taken()],
            [Some(3), Some(7), Some(9), None]
        );
        assert_eq!(asides.next_at(), Some(now + Duration::from_secs(9)));
        asides.release();
        assert!(asides.is_due());
        assert_eq!((asides.len(), asides.frames), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_of_all_is_taken_whether_it_is_due_or_not() {
        let mut asides = Asides::default();
        let now = Instant::now();
        for (sequence, secs) in [(7, 1), (3, 9), (5, 1), (9, 9)] {
            asides.put(parcel(sequence), now + Duration::from_secs(secs));
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(asides.is_due());
        let mut taken = || asides.take_oldest().map(|parcel| parcel.first());
        let all = [taken(), taken(), taken(), taken(), taken()];
        assert_eq!(all, [Some(3), Some(5), Some(7), Some(9), None]);
    }

    #[test]
    fn frames_that_are_taken_out_leave_the_others_as_they_are() {
        let mut long = parcel(1);
        let further = [(2, 3), (3, 2)].map(|(sequence, count)| Mark {
            sequence,
            count,
            ..long.marks[0]
        });
        long.marks.extend(further);
        let mut live = Bitmap::empty(6);
        for index in [0, 2, 5] {
            live.set(index, true);
        }
        long.live = Some(live);
        let mut asides = Asides::default();
        asides.put(long, Instant::now());
        asides.put(parcel(4), Instant::now());
        let (records, removed) = asides.remove(|mark| [2, 4].contains(&mark.sequence));
        assert_eq!((records, removed.len(), asides.frames), (2, 2, 2));
        let left: Vec<_> = asides.iter().collect();
        assert_eq!(left.len(), 1);
        let live = left[0].live.as_ref().unwrap();
        let live: Vec<bool> = (0..live.len()).map(|index| live.get(index)).collect();
        assert_eq!(live, [true, false, true]);
        assert_eq!(left[0].live_records(), 2);
    }
}
