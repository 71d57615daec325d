//! What leaves a stateful filter, with what is owed for it.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    budget::Permit,
    event::{Batch, Origin, RawEvent, Tag, Time, write_event},
    obligation::Obligation,
};

/// Most messages that one batch owes. More would make a single lost batch cost many senders their answer.
const DUES_MAX: usize = 64;

/// An event that a filter holds back: its bytes, and its share of what is owed to its sender.
#[derive(Debug)]
pub struct Held {
    /// The tag it came with.
    pub tag: Tag,
    /// The whole entry, `[time, record]`.
    pub entry: Bytes,
    /// Where it came from, narrowed to this event.
    pub origin: Option<Origin>,
    due: Obligation,
    permit: Option<Arc<Permit>>,
}

impl Held {
    /// Holds the event at `index` of `batch` back.
    pub fn new(batch: &Batch, index: u32, event: &RawEvent<'_>) -> Self {
        Self {
            tag: batch.tag.clone(),
            entry: Bytes::copy_from_slice(event.entry),
            origin: batch
                .origin
                .as_ref()
                .map(|origin| origin.narrowed(std::iter::once(index))),
            due: batch.due.clone(),
            permit: batch.permit.clone(),
        }
    }

    /// The event.
    pub fn event(&self) -> Option<RawEvent<'_>> {
        crate::event::Entries::new(&self.entry).next()?.ok()
    }
}

/// Takes what a stateful filter lets go. The engine empties it after each call.
#[derive(Debug, Default)]
pub struct Outbox {
    left: Left,
    open: Option<Open>,
}

/// What left a filter during one call.
#[derive(Debug, Default)]
pub struct Left {
    /// Events that go on behind the filter, in order. Each batch owes what its events owe.
    pub batches: Vec<Batch>,
    /// Events that ended inside other events.
    pub merged: u64,
    /// Events that the filter took out.
    pub dropped: u64,
    /// Events that the filter could not handle, unchanged, with the reason.
    pub failed: Vec<(Batch, String)>,
}

/// The batch that events are appended to.
#[derive(Debug)]
struct Open {
    tag: Tag,
    origin: Option<Origin>,
    /// The sender's places of the events, ascending, where there is an origin.
    places: Vec<u32>,
    events: Vec<u8>,
    count: u32,
    dues: Vec<Obligation>,
    permit: Option<Arc<Permit>>,
}

/// Where an event comes from: it decides which open batch it can join.
#[derive(Clone, Copy)]
struct Source<'a> {
    tag: &'a Tag,
    origin: Option<&'a Origin>,
    index: u32,
    due: &'a Obligation,
    permit: Option<&'a Arc<Permit>>,
}

impl<'a> Source<'a> {
    fn of(batch: &'a Batch, index: u32, tag: &'a Tag) -> Self {
        Self {
            tag,
            origin: batch.origin.as_ref(),
            index,
            due: &batch.due,
            permit: batch.permit.as_ref(),
        }
    }

    fn held(held: &'a Held, tag: &'a Tag) -> Self {
        Self {
            tag,
            origin: held.origin.as_ref(),
            index: 0,
            due: &held.due,
            permit: held.permit.as_ref(),
        }
    }
}

impl Outbox {
    /// The event at `index` of `batch` goes on as it is.
    pub fn pass(&mut self, batch: &Batch, index: u32, event: &RawEvent<'_>) {
        self.retag(batch, index, event, &batch.tag);
    }

    /// The event at `index` of `batch` goes on under another tag.
    pub fn retag(&mut self, batch: &Batch, index: u32, event: &RawEvent<'_>, tag: &Tag) {
        self.append(Source::of(batch, index, tag), |out| {
            out.extend_from_slice(event.entry);
        });
    }

    /// The event at `index` of `batch` goes on with this record, an encoded map.
    pub fn change(&mut self, batch: &Batch, index: u32, tag: &Tag, time: Time, record: &[u8]) {
        self.append(Source::of(batch, index, tag), |out| {
            write_event(out, time, record);
        });
    }

    /// A held event goes on as it is.
    pub fn release(&mut self, held: Held) {
        self.append(Source::held(&held, &held.tag), |out| {
            out.extend_from_slice(&held.entry);
        });
        held.due.meet();
    }

    /// Held events go on as one event, which takes the place of the first. Nothing happens when there are none.
    pub fn merge(&mut self, held: Vec<Held>, tag: &Tag, time: Time, record: &[u8]) {
        let Some(first) = held.first() else { return };
        self.append(Source::held(first, tag), |out| {
            write_event(out, time, record);
        });
        self.left.merged += held.len() as u64 - 1;
        for part in held {
            self.owe(&part.due);
            part.due.meet();
        }
    }

    /// An event of the batch is taken out; it is counted as filtered.
    pub fn drop_event(&mut self) {
        self.left.dropped += 1;
    }

    /// A held event is taken out; it is counted as filtered.
    pub fn discard(&mut self, held: Held) {
        self.left.dropped += 1;
        held.due.meet();
    }

    /// The event at `index` of `batch` goes to the `ERROR` label. Say what is wrong, not what the record holds.
    pub fn fail(
        &mut self,
        batch: &Batch,
        index: u32,
        event: &RawEvent<'_>,
        reason: impl Into<String>,
    ) {
        self.fail_held(Held::new(batch, index, event), reason);
    }

    /// A held event goes to the `ERROR` label.
    pub fn fail_held(&mut self, held: Held, reason: impl Into<String>) {
        let batch = Batch {
            permit: held.permit,
            ..Batch::new(held.tag, held.entry, 1, held.due)
        };
        self.left.failed.push((batch, reason.into()));
    }

    /// What left since the last call.
    pub fn take(&mut self) -> Left {
        self.close();
        std::mem::take(&mut self.left)
    }

    /// Adds an event to the open batch, or to a new one where tag or origin do not fit.
    fn append(&mut self, source: Source<'_>, write: impl FnOnce(&mut Vec<u8>)) {
        let place = source
            .origin
            .and_then(|origin| origin.places().nth(source.index as usize));
        if !self
            .open
            .as_ref()
            .is_some_and(|open| open.takes(&source, place))
        {
            self.close();
        }
        let open = self.open.get_or_insert_with(|| Open::new(&source));
        open.places.extend(place);
        open.count += 1;
        write(&mut open.events);
        self.owe(source.due);
    }

    /// Adds a debt to the open batch, once for each message.
    fn owe(&mut self, due: &Obligation) {
        if let Some(open) = &mut self.open
            && !open.dues.iter().any(|other| other.is_same(due))
        {
            open.dues.push(due.clone());
        }
    }

    fn close(&mut self) {
        self.left.batches.extend(self.open.take().map(Open::batch));
    }
}

impl Open {
    fn new(source: &Source<'_>) -> Self {
        Self {
            tag: source.tag.clone(),
            origin: source.origin.cloned(),
            places: Vec::new(),
            events: Vec::new(),
            count: 0,
            dues: Vec::new(),
            permit: source.permit.cloned(),
        }
    }

    /// Whether the event can join. Places ascend within a batch, and so does what is owed: at most a few messages.
    fn takes(&self, source: &Source<'_>, place: Option<u32>) -> bool {
        let same_chunk = match (&self.origin, source.origin) {
            (None, None) => true,
            (Some(one), Some(other)) => {
                one.chunk == other.chunk && one.identifies == other.identifies
            }
            _ => false,
        };
        let ascends = place.is_none() || self.places.last().copied() < place;
        let known = self.dues.iter().any(|due| due.is_same(source.due));
        self.tag == *source.tag && same_chunk && ascends && (known || self.dues.len() < DUES_MAX)
    }

    fn batch(self) -> Batch {
        let origin = self.origin.map(|origin| origin.at(&self.places));
        Batch {
            origin,
            permit: self.permit,
            ..Batch::new(
                self.tag,
                self.events.into(),
                self.count,
                Obligation::joined(self.dues),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{obligation::Unmet, testing};

    fn held(batch: &Batch) -> Vec<Held> {
        let events = batch.entries().map(Result::unwrap);
        (0..)
            .zip(events)
            .map(|(at, event)| Held::new(batch, at, &event))
            .collect()
    }

    fn owed(tag: &str, numbers: &[u32]) -> (Batch, crate::obligation::Receipt) {
        let (due, receipt) = Obligation::new();
        let records: Vec<_> = numbers.iter().map(|n| json!({ "n": n })).collect();
        let mut batch = testing::batch(tag, &records);
        batch.due = due;
        (batch, receipt)
    }

    #[tokio::test]
    async fn a_merged_event_owes_what_all_its_parts_owe() {
        let (first, first_receipt) = owed("a", &[1]);
        let (second, second_receipt) = owed("a", &[2]);
        let parts = [held(&first), held(&second)]
            .into_iter()
            .flatten()
            .collect();
        first.due.meet();
        second.due.meet();
        let mut out = Outbox::default();
        out.merge(parts, &"b".into(), Time::from_secs(0), &[0x80]);
        let left = out.take();
        assert_eq!((left.batches.len(), left.merged), (1, 1));
        assert!(!first_receipt.is_settled() && !second_receipt.is_settled());
        for batch in left.batches {
            assert_eq!((batch.tag.as_str(), batch.count), ("b", 1));
            batch.due.meet();
        }
        assert_eq!(
            (first_receipt.await, second_receipt.await),
            (Ok(()), Ok(()))
        );
    }

    #[tokio::test]
    async fn a_merged_event_that_is_lost_breaks_every_receipt() {
        let (first, first_receipt) = owed("a", &[1]);
        let (second, second_receipt) = owed("a", &[2]);
        let parts = [held(&first), held(&second)]
            .into_iter()
            .flatten()
            .collect();
        first.due.meet();
        second.due.meet();
        let mut out = Outbox::default();
        out.merge(parts, &"b".into(), Time::from_secs(0), &[0x80]);
        drop(out.take());
        assert_eq!(
            (first_receipt.await, second_receipt.await),
            (Err(Unmet), Err(Unmet))
        );
    }

    #[test]
    fn places_in_the_sender_chunk_stay() {
        let (mut batch, _receipt) = owed("a", &[0, 1, 2, 3]);
        batch.origin = Some(Origin {
            chunk: "c".into(),
            first: 5,
            kept: None,
            identifies: true,
        });
        let mut out = Outbox::default();
        for (at, event) in (0..).zip(batch.entries().map(Result::unwrap)) {
            match at {
                1 => out.drop_event(),
                2 => out.retag(&batch, at, &event, &"other".into()),
                _ => out.pass(&batch, at, &event),
            }
        }
        let left = out.take();
        let seen: Vec<_> = left
            .batches
            .iter()
            .map(|batch| {
                let places: Vec<_> = batch.origin.as_ref().unwrap().places().collect();
                (batch.tag.as_str(), places)
            })
            .collect();
        assert_eq!(seen, [("a", vec![5]), ("other", vec![7]), ("a", vec![8])]);
        assert_eq!(left.dropped, 1);
    }
}
