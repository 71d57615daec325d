//! Writing documents one after the other, a turn at a time.

use std::collections::BTreeSet;

use sdk::{
    config::Template,
    event::{FieldPath, Tag, event_header},
    msgpack::{RawValue, Reader, Token, write_text},
    output::{ChunkView, Failure, FailureKind, Frame, Verdict},
};

use crate::{
    document::{
        Recipe,
        action::{ActionLine, Parts},
        identity,
        index::{self, View},
        pen::Pen,
        refusal::Refusal,
        targets::Targets,
        timing::{AgeLimit, RecordTime, Window},
    },
    setup::Names,
};

/// Bytes that are written before other tasks get a turn.
const TURN_BYTES: usize = 256 << 10;

/// Where the writing stands in a frame.
pub(crate) struct Place<'a> {
    frame: &'a Frame,
    chunk: ChunkView<'a>,
    reader: Reader<'a>,
    /// Index in the chunk of the next record.
    next: u32,
    end: u32,
    common: [u8; identity::FRAME_LEN],
    /// Places of the records, which make the ids. From the origin, or one after the other.
    places: Box<dyn Iterator<Item = u32> + Send + 'a>,
    /// Records of the frame that are behind.
    passed: u32,
}

/// The largest place that an id has room for.
const PLACE_MAX: u32 = (1 << 30) - 1;

impl<'a> Place<'a> {
    pub(crate) fn new(chunk: ChunkView<'a>, frame: &'a Frame, first: u32) -> Self {
        let (common, from_origin) = identity::of_frame(chunk, frame);
        let origin = frame.origin.as_ref().filter(|_| from_origin);
        let places: Box<dyn Iterator<Item = u32> + Send> = match origin {
            Some(origin) => Box::new(origin.places()),
            None => Box::new(0_u32..),
        };
        Self {
            frame,
            chunk,
            reader: Reader::new(&frame.events),
            next: first,
            end: first + frame.count,
            common,
            places,
            passed: 0,
        }
    }
}

/// Writes documents.
pub(crate) struct Scribe<'a> {
    recipe: &'a Recipe,
    pub(crate) body: Vec<u8>,
    pub(crate) slots: Vec<(u32, usize)>,
    pub(crate) refused: Vec<(u32, Verdict)>,
    pub(crate) destinations: BTreeSet<Names>,
    pen: Pen<'a>,
    line: ActionLine,
    tag: Option<Tag>,
    window: Option<Window>,
    pub(crate) targets: Option<Targets>,
}

impl<'a> Scribe<'a> {
    pub(crate) fn new(recipe: &'a Recipe, capacity: usize) -> Self {
        Self {
            recipe,
            body: Vec::with_capacity(capacity),
            slots: Vec::new(),
            refused: Vec::new(),
            destinations: BTreeSet::new(),
            pen: Pen::new(recipe),
            line: ActionLine::new(recipe.operation),
            tag: None,
            window: recipe.age_limit.as_ref().map(AgeLimit::window),
            targets: recipe.operation.index_in_url.then(Targets::default),
        }
    }

    /// Writes records of a frame. `true` when there is more of it.
    pub(crate) fn write(&mut self, place: &mut Place<'_>) -> bool {
        if place.passed == 0 {
            self.begin(place);
        }
        let turn = self.body.len() + TURN_BYTES;
        while place.next < place.end && self.body.len() < turn {
            let index = place.next;
            place.next += 1;
            // An origin that knows fewer places than there are records must not give two of them one id.
            let number = place.places.next().unwrap_or(PLACE_MAX - place.passed);
            place.passed += 1;
            if !place.chunk.is_live(index) {
                // What is broken is found again when it is the turn of a live record.
                place.reader.skip().ok();
                continue;
            }
            let start = self.body.len();
            match self.record(&place.frame.tag, &mut place.reader, number) {
                Ok(()) => {
                    self.slots.push((index, self.body.len()));
                    self.targets.iter_mut().for_each(Targets::push);
                }
                Err(refusal) => {
                    self.body.truncate(start);
                    let failure = Failure::new(FailureKind::Serialize, refusal.to_string());
                    self.refused.push((index, Verdict::Reject(failure)));
                }
            }
        }
        place.next < place.end
    }

    fn begin(&mut self, place: &Place<'_>) {
        let tag = &place.frame.tag;
        let is_new_tag = self.tag.as_ref() != Some(tag);
        if is_new_tag || self.recipe.chunk_id_key.is_some() {
            self.pen.set_frame(tag, &place.common);
        }
        if is_new_tag {
            self.line.forget_index();
            self.tag = Some(tag.clone());
        }
        if self.recipe.identity {
            self.line.set_common(place.common);
        }
    }

    /// Writes one record; when it cannot, the reader stands behind it all the same.
    fn record(&mut self, tag: &Tag, reader: &mut Reader<'_>, place: u32) -> Result<(), Refusal> {
        let entry = reader.clone();
        let written = self.entry(tag, reader, place);
        if written.is_err() {
            *reader = entry;
            reader.skip().ok();
        }
        written
    }

    fn set_index(&mut self, name: &str, view: &View<'_>, period: Option<i64>) {
        let mut pipeline = String::new();
        if let Some(text) = &self.recipe.pipeline {
            text.render(view, &self.recipe.hostname, &mut pipeline);
        }
        self.line.set_index(name, &pipeline, period);
        if let Some(targets) = &mut self.targets {
            targets.set(name);
        }
    }

    fn entry(&mut self, tag: &Tag, reader: &mut Reader<'_>, place: u32) -> Result<(), Refusal> {
        let (of_event, _, surplus) = event_header(reader)?;
        let recipe = self.recipe;
        let record = if recipe.reads_records {
            Some(reader.clone().value()?)
        } else {
            None
        };
        let of_record = recipe.record_time.as_ref().and_then(|time| time.of(record));
        let time = of_record.unwrap_or(of_event);
        let excludes = recipe
            .record_time
            .as_ref()
            .is_some_and(RecordTime::excludes);
        self.pen.stamps = of_record.is_none() || !excludes;
        let named = self.window.map_or(time, |window| window.limit(time));
        let target = recipe.target_index.as_ref();
        let period = recipe.period(named);
        let view = View {
            tag,
            time: named,
            record,
        };
        if let Some(value) = target.and_then(|path| given(record, path)) {
            let name = name_of(value).map_err(Refusal::Index)?;
            self.set_index(&name, &view, None);
        } else if !self.line.has_index(period) {
            let name = recipe
                .index
                .render(&view, &recipe.hostname)
                .map_err(Refusal::Index)?;
            self.set_index(&name, &view, period);
            self.note_destination(name, &view);
        }
        let parts = Parts {
            id: text_of(record, recipe.id_key.as_ref()),
            routing: text_of(record, recipe.routing_key.as_ref()),
        };
        if parts.id.is_none() && recipe.operation.needs_id {
            return Err(Refusal::NoId(recipe.operation.op_type.as_str()));
        }
        self.line
            .write(&mut self.body, &parts, place)
            .map_err(Refusal::Id)?;
        self.pen.write(&mut self.body, reader, time)?;
        for _ in 0..surplus {
            reader.skip()?;
        }
        Ok(())
    }
}

impl Scribe<'_> {
    /// Notes that documents go there.
    fn note_destination(&mut self, target: String, view: &View<'_>) {
        let Some(texts) = &self.recipe.texts else {
            return;
        };
        let fill_in = |text: &Template| {
            let mut filled = String::new();
            text.render(view, &self.recipe.hostname, &mut filled);
            filled
        };
        let texts = texts.iter().map(fill_in).collect();
        self.destinations.insert(Names { target, texts });
    }
}

/// A field that is there.
fn given<'a>(record: Option<RawValue<'a>>, path: &FieldPath) -> Option<RawValue<'a>> {
    let value = path.find(record?)?;
    (value.token() != Token::Nil).then_some(value)
}

/// The index that a record names.
fn name_of(value: RawValue<'_>) -> Result<String, String> {
    let text = text(value).ok_or("the field `target_index_key` holds no text")?;
    index::given(&text)
}

/// The text of a scalar field; `None` when it is missing, empty or no scalar.
fn text_of(record: Option<RawValue<'_>>, path: Option<&FieldPath>) -> Option<String> {
    text(path?.find(record?)?)
}

fn text(value: RawValue<'_>) -> Option<String> {
    let is_scalar = !matches!(
        value.token(),
        Token::Nil | Token::Ext(..) | Token::Array(_) | Token::Map(_)
    );
    let mut text = String::new();
    write_text(value, &mut text).ok()?;
    (is_scalar && !text.is_empty()).then_some(text)
}
