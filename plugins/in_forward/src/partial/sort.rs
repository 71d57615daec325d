//! From a batch with parts to batches without: parts go out of it, lines that become whole take their places.

use std::sync::Arc;

use bytes::Bytes;
use sdk::{
    budget::Permit,
    event::{Batch, Origin, Piece, RawEvent, Tag},
    obligation::{Obligation, Receipt},
};
use tokio::time::Instant;

use super::{
    fields::{Form, join, read},
    journal::Note,
    lines::{Added, Ended, Key, Lines, Part, Ticket, Why},
    writer::Order,
};

/// A batch may become so large, with lines that are larger than their last parts.
const BATCH_BYTES_MAX: usize = 24 << 20;

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// What is to be emitted, in order.
    pub(super) batches: Vec<Batch>,
    /// Lines among it.
    pub(super) whole: u64,
    /// Parts that came again and are not needed.
    pub(super) again: u64,
    /// Set when there are parts in the journal to which the batches bring the end: how storing them ends, the share
    /// of the sender, and the lines.
    pub(super) receipt: Option<(Receipt, Obligation, Vec<Ticket>)>,
    /// What is to be noted before the sender is answered.
    pub(super) order: Option<Order>,
    /// Lines that had to make room.
    pub(super) let_go: Vec<(Ended, Why)>,
}

/// Takes the parts out of a batch. One that asks for an acknowledgement has an origin.
pub(super) fn sort(batch: Batch, lines: &mut Lines, now: Instant) -> Sorted {
    let events: Result<Vec<RawEvent<'_>>, _> = batch.entries().collect();
    let Ok(events) = events else {
        // Every batch is well formed; whatever this is, it is not ours to judge.
        return Sorted {
            batches: vec![batch],
            ..Sorted::default()
        };
    };
    let due = batch.origin.as_ref().map(|_| &batch.due);
    let mut sorted = Sorted::default();
    let (mut rest, mut notes, mut tickets) = (Rest::new(&batch), Vec::new(), Vec::new());
    for (index, event) in (0_u32..).zip(&events) {
        let Some(fields) = read(event.record) else {
            rest.push(index, event.entry);
            continue;
        };
        let part = Part {
            key: Key {
                tag: batch.tag.clone(),
                id: Arc::from(fields.id),
            },
            ordinal: fields.ordinal,
            is_last: fields.is_last,
            entry: Bytes::copy_from_slice(event.entry),
        };
        let note = due.map(|_| Note::Part(part.clone()));
        match lines.add(part, due, now, &mut sorted.let_go) {
            Added::Held => notes.extend(note),
            Added::Again => sorted.again += 1,
            Added::Whole(mut ended) => {
                sorted.whole += u64::from(ended.is_whole);
                rest.permits.extend(ended.permit.take());
                tickets.extend(ended.ticket.take());
                rest.has_joined = true;
                for stretch in &ended.stretches {
                    rest.push(index, &one(stretch, ended.is_whole));
                }
            }
        }
    }
    drop(events);
    let groups = rest.finish();
    sorted.order = (!notes.is_empty()).then(|| Order {
        notes,
        dues: vec![batch.due.clone()],
    });
    let mut batch = batch;
    if rest.has_joined {
        // Recognised as one that was stored before, it would take parts with it that were not.
        batch.fingerprint = None;
    }
    if !tickets.is_empty() {
        let (inner, receipt) = Obligation::new();
        let outer = std::mem::replace(&mut batch.due, inner);
        sorted.receipt = Some((receipt, outer, tickets));
    }
    sorted.batches = divide(batch, groups, rest.permits);
    sorted
}

/// Entries of one batch to be, and which places of the old one they have.
type Group = (Vec<u8>, Vec<u32>);

/// What stays of a batch.
struct Rest {
    groups: Vec<Group>,
    events: Vec<u8>,
    places: Vec<u32>,
    permits: Vec<Permit>,
    has_joined: bool,
}

impl Rest {
    fn new(batch: &Batch) -> Self {
        Self {
            groups: Vec::new(),
            events: Vec::with_capacity(batch.events.len()),
            places: Vec::new(),
            permits: Vec::new(),
            has_joined: false,
        }
    }

    fn push(&mut self, place: u32, entry: &[u8]) {
        if self.events.len() + entry.len() > BATCH_BYTES_MAX {
            self.cut();
        }
        self.events.extend_from_slice(entry);
        self.places.push(place);
    }

    fn cut(&mut self) {
        if !self.places.is_empty() {
            let group = (
                std::mem::take(&mut self.events),
                std::mem::take(&mut self.places),
            );
            self.groups.push(group);
        }
    }

    fn finish(&mut self) -> Vec<Group> {
        self.cut();
        std::mem::take(&mut self.groups)
    }
}

/// The batch with other entries, in one batch or several. Its share is met when nothing is left of it.
fn divide(batch: Batch, mut groups: Vec<Group>, permits: Vec<Permit>) -> Vec<Batch> {
    let is_last_piece = batch.piece.as_ref().is_some_and(|piece| piece.last);
    if groups.is_empty() {
        if !is_last_piece {
            batch.due.meet();
            return Vec::new();
        }
        groups.push(Group::default());
    }
    let permit = permits
        .into_iter()
        .fold(batch.permit, |taken, more| Some(with(taken, more)));
    let count = groups.len();
    let make = |(index, (events, places)): (usize, Group)| Batch {
        tag: batch.tag.clone(),
        events: events.into(),
        count: u32::try_from(places.len()).unwrap_or(u32::MAX),
        origin: batch
            .origin
            .as_ref()
            .map(|origin| origin_of(origin, &places)),
        piece: batch.piece.as_ref().map(|piece| Piece {
            group: Arc::clone(&piece.group),
            last: piece.last && index + 1 == count,
        }),
        fingerprint: batch.fingerprint.clone().filter(|_| count == 1),
        due: batch.due.clone(),
        permit: permit.clone(),
    };
    let batches = groups.into_iter().enumerate().map(make).collect();
    // The share that was cloned for each of them.
    batch.due.meet();
    batches
}

fn origin_of(origin: &Origin, places: &[u32]) -> Origin {
    origin.narrowed(places.iter().copied())
}

fn with(taken: Option<Arc<Permit>>, more: Permit) -> Arc<Permit> {
    match taken.map(Arc::try_unwrap) {
        Some(Ok(taken)) => Arc::new(more.with_share(taken)),
        // Nobody else has it, since the batch is not emitted yet.
        Some(Err(taken)) => taken,
        None => Arc::new(more),
    }
}

/// One entry for parts that follow each other.
fn one(stretch: &[Bytes], is_whole: bool) -> Vec<u8> {
    let form = if is_whole { Form::Whole } else { Form::Stretch };
    let mut out = Vec::new();
    let entries = stretch.iter().map(|entry| &entry[..]);
    if !join(&entries, form, &mut out) {
        // They were parts when they came; as they are they say no less.
        entries.for_each(|entry| out.extend_from_slice(entry));
    }
    out
}

/// A batch of a line that goes on as it is; `None` when nothing is there.
pub(super) fn stretches(ended: Ended, due: Obligation) -> Option<Batch> {
    let mut events = Vec::new();
    let mut count = 0;
    for stretch in &ended.stretches {
        count += 1;
        match &stretch[..] {
            [alone] if !ended.is_whole => events.extend_from_slice(alone),
            parts => events.extend_from_slice(&one(parts, ended.is_whole)),
        }
    }
    if count == 0 {
        due.meet();
        return None;
    }
    let tag: Tag = ended.key.tag;
    let mut batch = Batch::new(tag, events.into(), count, due);
    batch.permit = ended.permit.map(Arc::new);
    Some(batch)
}
