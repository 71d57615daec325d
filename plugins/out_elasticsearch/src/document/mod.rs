//! From records to action lines and documents: one contiguous body, and where each record stands in it.

pub(crate) mod action;
pub(crate) mod cuts;
pub(crate) mod date;
pub(crate) mod flat;
pub(crate) mod identity;
pub(crate) mod index;
pub(crate) mod operation;
pub(crate) mod pen;
pub(crate) mod refusal;
pub(crate) mod scribe;
pub(crate) mod shape;
pub(crate) mod targets;
pub(crate) mod timing;
pub(crate) mod undot;

use std::{collections::BTreeSet, ops::Range};

use bytes::Bytes;
use sdk::{
    config::Template,
    event::{FieldPath, Tag, Time},
    json::Lead,
    output::{ChunkView, Verdict},
    plugin::BuildCx,
};

use crate::{
    config::{Config, DocumentId, settings::Settings},
    setup::Names,
};
use cuts::Cuts;
use index::IndexName;
use operation::Operation;
use scribe::{Place, Scribe};
use shape::Shape;
use targets::Targets;
use timing::{AgeLimit, RecordTime};

/// How records become documents.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) operation: Operation,
    /// Whether a document is the record and what is added to it, and nothing else.
    pub(crate) is_plain: bool,
    /// Whether more of a record is read than its document needs.
    pub(crate) reads_records: bool,
    pub(crate) index: IndexName,
    /// The field whose value is the index instead.
    pub(crate) target_index: Option<FieldPath>,
    pub(crate) identity: bool,
    pub(crate) id_key: Option<FieldPath>,
    pub(crate) routing_key: Option<FieldPath>,
    /// The field that the time is added to.
    pub(crate) timestamp_key: Option<String>,
    /// The time that records have in a field.
    pub(crate) record_time: Option<RecordTime>,
    pub(crate) age_limit: Option<AgeLimit>,
    /// Digits of a second.
    pub(crate) time_digits: u8,
    pub(crate) tag_key: Option<String>,
    /// The field that says what was stored together.
    pub(crate) chunk_id_key: Option<String>,
    /// What is done to records first.
    pub(crate) shape: Option<Shape>,
    /// What updates leave alone.
    pub(crate) patch: Option<Patch>,
    pub(crate) hostname: String,
    /// The pipeline of each record, where it is not the same for all.
    pub(crate) pipeline: Option<Template>,
    /// What the setup has to know of each target besides its name; `None`: not even that.
    pub(crate) texts: Option<Vec<Template>>,
}

/// What is added to the documents of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Added<'a> {
    pub(crate) tag: &'a Tag,
    /// What their ids have in common.
    pub(crate) common: &'a str,
}

/// What an update of a document that is there leaves alone.
#[derive(Debug)]
pub(crate) struct Patch {
    /// These fields.
    pub(crate) cuts: Cuts,
    /// Or those that are listed here in the record.
    pub(crate) names: Option<FieldPath>,
}

impl Recipe {
    /// The same number means the same index and pipeline, for events with the same tag. `None`: ask each time.
    #[inline]
    pub(crate) fn period(&self, time: Time) -> Option<i64> {
        let pipeline = self.pipeline.as_ref();
        if pipeline.is_some_and(Template::reads_records) {
            return None;
        }
        self.index.period(time)
    }

    /// What the parameters come to.
    pub(crate) fn new(
        config: &Config,
        settings: Settings,
        record_time: Option<RecordTime>,
        cx: &BuildCx,
    ) -> Self {
        let Settings {
            index,
            target_index,
            operation,
            shape,
            patch,
            texts,
            pipeline,
            ..
        } = settings;
        let adds = |adds: bool, key: &String| {
            let left_out = shape.as_ref().is_some_and(|shape| shape.leaves_out(key));
            (adds && !left_out && !config.suppress_doc_wrap).then(|| key.clone())
        };
        Self {
            operation,
            is_plain: !operation.op_type.needs_id() && shape.is_none(),
            reads_records: index.reads_records()
                || target_index.is_some()
                || pipeline.as_ref().is_some_and(Template::reads_records)
                || texts.iter().flatten().any(Template::reads_records)
                || record_time.is_some()
                || config.id_key.is_some()
                || config.routing_key.is_some(),
            index,
            target_index,
            identity: config.document_id == DocumentId::Identity,
            id_key: config.id_key.clone(),
            routing_key: config.routing_key.clone(),
            timestamp_key: adds(config.include_timestamp, &config.timing.timestamp_key),
            record_time,
            age_limit: config.timing.age_limit(&cx.clock),
            time_digits: config.time_precision,
            tag_key: adds(config.include_tag_key, &config.tag_key),
            chunk_id_key: config
                .fluentd
                .chunk_id_key()
                .and_then(|key| adds(true, &key)),
            shape,
            patch,
            hostname: cx.hostname.to_string(),
            texts,
            pipeline,
        }
    }

    /// What is added to the documents of a frame, of those fields that `keeps` takes; with the time where it `stamps`.
    pub(crate) fn lead(
        &self,
        added: Added<'_>,
        stamps: bool,
        keeps: impl Fn(&str) -> bool,
    ) -> Lead {
        let mut lead = Lead::new();
        let timestamp_key = self.timestamp_key.as_ref().filter(|_| stamps);
        if let Some(key) = timestamp_key.filter(|key| keeps(key)) {
            lead = lead.time_to(key, self.time_digits);
        }
        if let Some(key) = self.tag_key.as_ref().filter(|key| keeps(key)) {
            lead = lead.string(key, added.tag.as_str());
        }
        if let Some(key) = self.chunk_id_key.as_ref().filter(|key| keeps(key)) {
            lead = lead.string(key, added.common);
        }
        lead
    }
}

/// A body and where each record stands in it.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    /// Action lines and documents, in the order of the records.
    pub(crate) body: Bytes,
    /// Index in the chunk of each record, and where its part of the body ends.
    pub(crate) slots: Vec<(u32, usize)>,
    /// Records that cannot become documents.
    pub(crate) refused: Vec<(u32, Verdict)>,
    /// The index of each record, where requests have it in their address.
    pub(crate) targets: Option<Targets>,
    /// Where the documents go, when that has to be made ready.
    pub(crate) destinations: BTreeSet<Names>,
}

impl Documents {
    /// Where the part of the record at `position` of the table begins and ends.
    fn range(&self, position: usize) -> Range<usize> {
        let end = |position: usize| self.slots.get(position).map_or(0, |(_, end)| *end);
        position.checked_sub(1).map_or(0, end)..end(position)
    }

    /// Bytes of action line and document of the record at `position`.
    pub(crate) fn len_of(&self, position: usize) -> usize {
        self.range(position).len()
    }

    /// Action line and document of the record at `position`.
    pub(crate) fn part(&self, position: usize) -> &[u8] {
        self.body.get(self.range(position)).unwrap_or_default()
    }

    /// Writes the body anew with these action lines, of those records that get another.
    pub(crate) fn replace_actions(&mut self, lines: &[Option<Vec<u8>>]) {
        if lines.iter().all(Option::is_none) {
            return;
        }
        let mut body = Vec::with_capacity(self.body.len());
        let mut ends = Vec::with_capacity(self.slots.len());
        for (position, line) in lines.iter().enumerate() {
            let part = self.part(position);
            let behind = part
                .iter()
                .position(|byte| *byte == b'\n')
                .map(|end| end + 1);
            match (line, behind.and_then(|behind| part.get(behind..))) {
                (Some(line), Some(document)) => body.extend([line, document].concat()),
                _ => body.extend_from_slice(part),
            }
            ends.push(body.len());
        }
        for ((_, end), new) in self.slots.iter_mut().zip(ends) {
            *end = new;
        }
        self.body = body.into();
    }

    /// The positions in the table, of those that may go together.
    pub(crate) fn groups(&self) -> Vec<Vec<usize>> {
        match &self.targets {
            None => vec![(0..self.slots.len()).collect()],
            Some(targets) => targets.groups(),
        }
    }

    /// The index that a request with these records has in its address.
    pub(crate) fn index_of(&self, positions: &[usize]) -> Option<&str> {
        self.targets.as_ref()?.name_of(*positions.first()?)
    }

    /// The body of a request with these records, in ascending order. Shared when they stand together.
    pub(crate) fn bytes(&self, positions: &[usize]) -> Bytes {
        let (Some(first), Some(last)) = (positions.first(), positions.last()) else {
            return Bytes::new();
        };
        if last - first + 1 == positions.len() {
            return self
                .body
                .slice(self.range(*first).start..self.range(*last).end);
        }
        let parts: Vec<&[u8]> = positions
            .iter()
            .map(|position| self.part(*position))
            .collect();
        parts.concat().into()
    }
}

/// Writes the live records of a chunk.
pub(crate) async fn write(recipe: &Recipe, chunk: ChunkView<'_>) -> Documents {
    let bytes: usize = chunk.frames.iter().map(|frame| frame.events.len()).sum();
    let records = chunk.record_count() as usize;
    let mut scribe = Box::new(Scribe::new(recipe, bytes + bytes / 2 + records * 128));
    let mut first = 0;
    for frame in chunk.frames {
        let mut place = Place::new(chunk, frame, first);
        while scribe.write(&mut place) {
            tokio::task::yield_now().await;
        }
        first += frame.count;
    }
    Documents {
        body: scribe.body.into(),
        slots: scribe.slots,
        refused: scribe.refused,
        targets: scribe.targets,
        destinations: scribe.destinations,
    }
}
