//! A table of streams in the order in which they were last touched.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use sdk::event::Tag;

/// What tells one stream from another: its tag and what the configuration adds to it.
type Key = Arc<[u8]>;

/// Values by stream. One stream is selected at a time, so that finding it costs no allocation.
#[derive(Debug)]
pub(crate) struct Streams<T> {
    slots: HashMap<Key, Slot<T>>,
    /// From the one that was touched longest ago to the latest.
    order: BTreeMap<u64, Key>,
    next: u64,
    selected: Vec<u8>,
}

#[derive(Debug)]
struct Slot<T> {
    place: u64,
    touched: Instant,
    value: T,
}

impl<T> Streams<T> {
    pub(crate) fn new() -> Self {
        Self {
            slots: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            selected: Vec::new(),
        }
    }

    /// The calls that follow mean this stream.
    pub(crate) fn select(&mut self, tag: &Tag, identity: &[u8]) {
        let tag = tag.as_str().as_bytes();
        self.selected.clear();
        self.selected.extend_from_slice(&tag.len().to_be_bytes());
        self.selected.extend_from_slice(tag);
        self.selected.extend_from_slice(identity);
    }

    /// How many streams there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The value of the selected stream, without touching it.
    pub(crate) fn get(&mut self) -> Option<&mut T> {
        let slot = self.slots.get_mut(self.selected.as_slice())?;
        Some(&mut slot.value)
    }

    /// The value of the selected stream, which is the latest one from now on. Makes it where there is none.
    pub(crate) fn touch(&mut self, now: Instant, make: impl FnOnce() -> T) -> &mut T {
        let place = self.next;
        self.next += 1;
        let key = match self.slots.get(self.selected.as_slice()) {
            Some(slot) => self.order.remove(&slot.place),
            None => None,
        };
        let key = key.unwrap_or_else(|| self.selected.as_slice().into());
        self.order.insert(place, Arc::clone(&key));
        let slot = self.slots.entry(key).or_insert_with(|| Slot {
            place,
            touched: now,
            value: make(),
        });
        (slot.place, slot.touched) = (place, now);
        &mut slot.value
    }

    /// Takes the selected stream out.
    pub(crate) fn remove(&mut self) -> Option<T> {
        let slot = self.slots.remove(self.selected.as_slice())?;
        self.order.remove(&slot.place);
        Some(slot.value)
    }

    /// When the stream was touched that was touched longest ago.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let (_, key) = self.order.first_key_value()?;
        Some(self.slots.get(key)?.touched)
    }

    /// Takes the stream out that was touched longest ago.
    pub(crate) fn pop_oldest(&mut self) -> Option<T> {
        let (_, key) = self.order.pop_first()?;
        Some(self.slots.remove(&key)?.value)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tag_cannot_pretend_to_be_another_stream() {
        let (mut streams, now) = (Streams::new(), Instant::now());
        streams.select(&"ab".into(), b"c");
        *streams.touch(now, || 0) += 1;
        streams.select(&"a".into(), b"bc");
        assert_eq!(streams.get(), None);
        *streams.touch(now, || 10) += 1;
        assert_eq!(streams.get(), Some(&mut 11));
        assert_eq!(streams.len(), 2);
    }

    proptest! {
        #[test]
        fn the_oldest_is_what_a_list_says(steps in prop::collection::vec((0_u8..3, 0_u8..6), 0..60)) {
            let (mut streams, start) = (Streams::new(), Instant::now());
            let mut model: Vec<(u8, Instant)> = Vec::new();
            for (at, (what, stream)) in (0_u64..).zip(steps) {
                let now = start + Duration::from_secs(at);
                streams.select(&"a".into(), &[stream]);
                match what {
                    0 => {
                        streams.touch(now, || stream);
                        model.retain(|(other, _)| *other != stream);
                        model.push((stream, now));
                    }
                    1 => {
                        let known = model.iter().any(|(other, _)| *other == stream);
                        prop_assert_eq!(streams.remove(), known.then_some(stream));
                        model.retain(|(other, _)| *other != stream);
                    }
                    _ => {
                        let oldest = (!model.is_empty()).then(|| model.remove(0).0);
                        prop_assert_eq!(streams.pop_oldest(), oldest);
                    }
                }
                prop_assert_eq!(streams.oldest(), model.first().map(|(_, touched)| *touched));
                prop_assert_eq!(streams.len(), model.len());
            }
        }
    }
}
