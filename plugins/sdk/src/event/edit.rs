//! Reading and editing one event without decoding it: edits pile up in an overlay.

use crate::{
    event::{
        FieldPath, RawEvent, Tag, Time,
        overlay::{Edited, Overlay},
    },
    msgpack::{RawValue, write},
};

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fate {
    /// It goes on.
    #[default]
    Keep,
    /// A filter took it out; counted as filtered.
    Drop,
    /// A filter could not handle it: it goes to the `ERROR` label, unchanged, with this reason.
    Error(String),
}

/// One event under the filters: fields are read straight from the slice or from earlier edits.
#[derive(Debug)]
pub struct Edit<'a> {
    fields: Fields<'a>,
    fate: Fate,
}

/// Read access to an event as the filters before have left it.
#[derive(Debug)]
pub struct Fields<'a> {
    tag: &'a Tag,
    event: RawEvent<'a>,
    overlay: &'a mut Overlay,
}

impl<'a> Edit<'a> {
    pub(crate) fn new(tag: &'a Tag, event: RawEvent<'a>, overlay: &'a mut Overlay) -> Self {
        overlay.clear();
        Self {
            fields: Fields {
                tag,
                event,
                overlay,
            },
            fate: Fate::Keep,
        }
    }

    pub(crate) fn into_fate(self) -> Fate {
        self.fate
    }

    pub(crate) fn fate(&self) -> &Fate {
        &self.fate
    }

    /// Tag, time and fields, for reading.
    #[inline]
    pub fn fields(&self) -> &Fields<'a> {
        &self.fields
    }

    /// The tag of the batch.
    pub fn tag(&self) -> &Tag {
        self.fields.tag
    }

    /// The time of the event, with earlier edits applied.
    pub fn time(&self) -> Time {
        self.fields.time()
    }

    /// Looks up a field.
    #[inline]
    pub fn get(&self, path: &FieldPath) -> Option<RawValue<'_>> {
        self.fields.get(path)
    }

    /// Takes the event out; it is counted as filtered.
    pub fn drop_event(&mut self) {
        self.fate = Fate::Drop;
    }

    /// Sends the event to the `ERROR` label. Say what is wrong, not what the record holds.
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.fate = Fate::Error(reason.into());
    }

    /// Sets a top-level key. `value` appends exactly one MessagePack value and may read the other fields.
    /// A key that exists keeps its place.
    pub fn set(&mut self, key: &str, value: impl FnOnce(&Fields<'_>, &mut Vec<u8>)) {
        let mut scratch = std::mem::take(&mut self.fields.overlay.scratch);
        scratch.clear();
        value(&self.fields, &mut scratch);
        debug_assert!(
            RawValue::parse(&scratch).is_ok(),
            "a filter must write one whole value"
        );
        self.fields.overlay.put(key.as_bytes(), Some(&scratch));
        self.fields.overlay.scratch = scratch;
    }

    /// Sets a field below the top level, making maps on the way where none are.
    /// A path with an index is left alone: items of arrays cannot be set.
    pub fn set_path(&mut self, path: &FieldPath, value: impl FnOnce(&Fields<'_>, &mut Vec<u8>)) {
        if path.is_top_level() {
            return self.set(path.head(), value);
        }
        let mut new = Vec::new();
        value(&self.fields, &mut new);
        self.rewrite(path, Some(&new));
    }

    /// Removes a field, at the top level or below.
    pub fn remove(&mut self, path: &FieldPath) {
        if path.is_top_level() {
            self.fields.overlay.put(path.head().as_bytes(), None);
        } else if self.get(path).is_some() {
            self.rewrite(path, None);
        }
    }

    /// Starts the record anew, keeping only these top-level keys.
    pub fn renew<'k>(&mut self, keep: impl IntoIterator<Item = &'k str>) {
        let mut kept = Vec::new();
        for key in keep {
            if let Some(value) = self.get(&FieldPath::key(key)) {
                kept.push((key, value.bytes().to_vec()));
            }
        }
        let overlay = &mut *self.fields.overlay;
        overlay.renew();
        for (key, value) in kept {
            overlay.put(key.as_bytes(), Some(&value));
        }
    }

    /// Replaces the time of the event.
    pub fn set_time(&mut self, time: Time) {
        self.fields.overlay.time = Some(time);
    }

    /// The whole record as the filters before have left it.
    pub fn record(&mut self) -> RawValue<'_> {
        let Fields { event, overlay, .. } = &mut self.fields;
        overlay.settle(event.record);
        overlay.base(event.record)
    }

    /// Replaces the whole record. `write` reads the one there is, appends exactly one map, and says whether it did:
    /// what it appended is forgotten if not.
    pub fn set_record(&mut self, write: impl FnOnce(RawValue<'_>, &mut Vec<u8>) -> bool) {
        let mut new = std::mem::take(&mut self.fields.overlay.scratch);
        new.clear();
        if write(self.record(), &mut new) {
            debug_assert!(RawValue::parse(&new).is_ok_and(|value| value.pairs().is_some()));
            std::mem::swap(&mut self.fields.overlay.base, &mut new);
        }
        self.fields.overlay.scratch = new;
    }

    /// Replaces Fluent Bit's metadata, where the sender wrote one. `write` is as for [`set_record`](Self::set_record),
    /// and appends exactly one value.
    pub fn set_metadata(&mut self, write: impl FnOnce(RawValue<'_>, &mut Vec<u8>) -> bool) {
        let mut new = Vec::new();
        if let Some(metadata) = self.fields.metadata()
            && write(metadata, &mut new)
        {
            debug_assert!(RawValue::parse(&new).is_ok());
            self.fields.overlay.metadata_new = new;
        }
    }

    fn rewrite(&mut self, path: &FieldPath, value: Option<&[u8]>) {
        let Some(keys) = path.key_steps() else { return };
        let Some((head, below)) = keys.split_first() else {
            return;
        };
        let mut out = Vec::new();
        rewrite_below(&mut out, self.get(&FieldPath::key(head)), below, value);
        self.fields.overlay.put(head.as_bytes(), Some(&out));
    }

    /// Appends the edited entry to `out`; `false` when nothing was changed and nothing was appended.
    pub(crate) fn write_if_changed(&mut self, out: &mut Vec<u8>) -> bool {
        let Fields { event, overlay, .. } = &mut self.fields;
        if overlay.is_empty() {
            return false;
        }
        write::array(out, 2);
        let time = overlay.time.unwrap_or(event.time);
        match event.metadata {
            Some(metadata) => {
                write::array(out, 2);
                time.write(out);
                out.extend_from_slice(overlay.metadata(metadata).bytes());
            }
            None => time.write(out),
        }
        overlay.write_record(event.record, out);
        true
    }
}

impl Fields<'_> {
    /// The tag of the batch.
    pub fn tag(&self) -> &Tag {
        self.tag
    }

    /// Fluent Bit's metadata map beside the record, where the sender wrote one.
    pub fn metadata(&self) -> Option<RawValue<'_>> {
        Some(self.overlay.metadata(self.event.metadata?))
    }

    /// The time of the event, with earlier edits applied.
    pub fn time(&self) -> Time {
        self.overlay.time.unwrap_or(self.event.time)
    }

    /// Looks up a field, with earlier edits applied.
    #[inline]
    pub fn get(&self, path: &FieldPath) -> Option<RawValue<'_>> {
        match self.overlay.edited(path.head().as_bytes()) {
            Edited::Value(value) => path.find_below_head(value),
            Edited::Gone => None,
            Edited::Untouched => path.find(self.overlay.base(self.event.record)),
        }
    }
}

/// Writes `value` with the field at `keys` below it replaced by `new`, or removed.
fn rewrite_below(
    out: &mut Vec<u8>,
    value: Option<RawValue<'_>>,
    keys: &[&str],
    new: Option<&[u8]>,
) {
    let Some((key, below)) = keys.split_first() else {
        return out.extend_from_slice(new.unwrap_or(&[0xc0]));
    };
    let Some(pairs) = value.and_then(RawValue::pairs) else {
        if let (None, Some(value)) = (new, value) {
            return out.extend_from_slice(value.bytes());
        }
        write::map(out, 1);
        write::str(out, key);
        return rewrite_below(out, None, below, new);
    };
    let hits = |name: RawValue<'_>| name.as_bytes() == Some(key.as_bytes());
    let removes = new.is_none() && below.is_empty();
    let total = pairs.clone().count();
    let matches = pairs.clone().filter(|(name, _)| hits(*name)).count();
    let adds = matches == 0 && new.is_some();
    let count = total - if removes { matches } else { 0 } + usize::from(adds);
    write::map(out, u32::try_from(count).unwrap_or(u32::MAX));
    for (name, value) in pairs {
        if !hits(name) {
            out.extend_from_slice(name.bytes());
            out.extend_from_slice(value.bytes());
        } else if !removes {
            out.extend_from_slice(name.bytes());
            rewrite_below(out, Some(value), below, new);
        }
    }
    if adds {
        write::str(out, key);
        rewrite_below(out, None, below, new);
    }
}
