//! What stands behind an action line: the record as it is, or an update with it, or nothing.

use sdk::{
    event::{Tag, Time},
    json::{Clash, Lead, Names, Unwritable, Writer},
    msgpack::{Malformed, RawValue, Reader, Token},
};

use crate::{
    config::OpType,
    document::{
        Added, Patch, Recipe, cuts::Cuts, date::is_date, operation::Operation, refusal::Refusal,
    },
};

/// Fields that a document cannot have, because the server keeps them for itself. Source: metadata fields in the
/// manuals of Elasticsearch and OpenSearch.
const RESERVED: &[&str] = &[
    "_data_stream_timestamp",
    "_doc_count",
    "_feature",
    "_field_names",
    "_id",
    "_ignored",
    "_ignored_source",
    "_index",
    "_nested_path",
    "_primary_term",
    "_recovery_source",
    "_routing",
    "_seq_no",
    "_size",
    "_source",
    "_tier",
    "_tsid",
    "_type",
    "_version",
];

/// Writes documents with what is added to them.
pub(crate) struct Pen<'a> {
    recipe: &'a Recipe,
    writer: Writer,
    /// What is added with the time, and without it.
    leads: [Lead; 2],
    /// The same for an update of a document that is there.
    patch_leads: [Lead; 2],
    /// Whether the time is added to the record that comes next.
    pub(crate) stamps: bool,
    tag: Tag,
    /// What the ids of the records of this frame have in common.
    common: String,
    /// The record that the document is made of, as MessagePack.
    shaped: Vec<u8>,
    /// The fields that an update changes, as MessagePack.
    patch: Vec<u8>,
}

impl<'a> Pen<'a> {
    pub(crate) fn new(recipe: &'a Recipe) -> Self {
        let is_document = !recipe.operation.op_type.is_update() || recipe.operation.has_doc;
        let reserved = if is_document { RESERVED } else { &[] };
        Self {
            recipe,
            writer: Writer::new(Names::Document { reserved }),
            leads: [Lead::new(), Lead::new()],
            patch_leads: [Lead::new(), Lead::new()],
            stamps: true,
            tag: Tag::new(""),
            common: String::new(),
            shaped: Vec::new(),
            patch: Vec::new(),
        }
    }

    /// What follows has this tag, and ids that have this in common.
    pub(crate) fn set_frame(&mut self, tag: &Tag, common: &[u8]) {
        self.tag = tag.clone();
        self.common = String::from_utf8_lossy(common).into_owned();
        let added = Added {
            tag: &self.tag,
            common: &self.common,
        };
        let recipe = self.recipe;
        self.leads = [true, false].map(|stamps| recipe.lead(added, stamps, |_| true));
        if let Some(patch) = &recipe.patch {
            let keeps = |name: &str| !patch.cuts.has(name.as_bytes());
            self.patch_leads = [true, false].map(|stamps| recipe.lead(added, stamps, keeps));
        }
    }

    /// Appends the lines of the record that comes next.
    ///
    /// # Errors
    /// [`Refusal`]; what was written until then stays in `out`.
    #[inline]
    pub(crate) fn write(
        &mut self,
        out: &mut Vec<u8>,
        reader: &mut Reader<'_>,
        time: Time,
    ) -> Result<(), Refusal> {
        chosen(&mut self.leads, self.stamps).set_time(time);
        if self.recipe.is_plain {
            self.document(out, reader)?;
            out.push(b'\n');
            return Ok(());
        }
        self.unusual(out, reader, time)
    }

    #[inline]
    fn document(&mut self, out: &mut Vec<u8>, reader: &mut Reader<'_>) -> Result<(), Refusal> {
        let clash = &mut |name: &str, value: RawValue<'_>| clash(self.recipe, name, value);
        let lead = chosen(&mut self.leads, self.stamps);
        Ok(self.writer.next_record(out, lead, reader, clash)?)
    }

    fn unusual(
        &mut self,
        out: &mut Vec<u8>,
        reader: &mut Reader<'_>,
        time: Time,
    ) -> Result<(), Refusal> {
        let recipe = self.recipe;
        let record = reader.value()?;
        if recipe.operation.op_type == OpType::Delete {
            return Ok(());
        }
        let listed = recipe.patch.as_ref().and_then(|patch| {
            let list = patch.names.as_ref()?.find(record)?;
            names_in(list)
        });
        let mut shaped = std::mem::take(&mut self.shaped);
        shaped.clear();
        let record = match &recipe.shape {
            Some(shape) => {
                shape.apply(record, &mut shaped)?;
                RawValue::parse(&shaped)?
            }
            None => record,
        };
        self.around(out, record, listed, time)?;
        out.push(b'\n');
        self.shaped = shaped;
        Ok(())
    }

    /// Writes what an update has around the record, or the record alone.
    fn around(
        &mut self,
        out: &mut Vec<u8>,
        record: RawValue<'_>,
        listed: Option<Vec<&[u8]>>,
        time: Time,
    ) -> Result<(), Refusal> {
        let Operation {
            op_type, has_doc, ..
        } = self.recipe.operation;
        if has_doc {
            out.extend_from_slice(b"{\"doc\":");
        }
        let start = out.len();
        match &self.recipe.patch {
            Some(patch) => self.patch(out, record, patch, listed, time)?,
            None => self.document(out, &mut Reader::new(record.bytes()))?,
        }
        if has_doc && op_type == OpType::Upsert {
            self.end_upsert(out, record, start)?;
        } else if has_doc {
            out.push(b'}');
        }
        Ok(())
    }

    /// Says what is added where there is no document: what the update has, which begins at `start`, or more.
    fn end_upsert(
        &mut self,
        out: &mut Vec<u8>,
        record: RawValue<'_>,
        start: usize,
    ) -> Result<(), Refusal> {
        let end = out.len();
        if self.recipe.patch.is_some() {
            out.extend_from_slice(b",\"upsert\":");
            let whole = out.len();
            self.document(out, &mut Reader::new(record.bytes()))?;
            if out.get(start..end) != out.get(whole..) {
                out.push(b'}');
                return Ok(());
            }
            out.truncate(end);
        }
        out.extend_from_slice(b",\"doc_as_upsert\":true}");
        Ok(())
    }

    /// Writes the fields that an update changes.
    fn patch(
        &mut self,
        out: &mut Vec<u8>,
        record: RawValue<'_>,
        patch: &Patch,
        listed: Option<Vec<&[u8]>>,
        time: Time,
    ) -> Result<(), Refusal> {
        self.patch.clear();
        // Names that the record lists take the place of those that were configured.
        let is_map = match &listed {
            Some(names) => Cuts::default().copy(record, names, &mut self.patch),
            None => patch.cuts.copy(record, &[], &mut self.patch),
        };
        if !is_map {
            return Err(Unwritable::Malformed(Malformed::UnexpectedType).into());
        }
        let mut own;
        let lead = if let Some(names) = listed {
            let added = Added {
                tag: &self.tag,
                common: &self.common,
            };
            own = self.recipe.lead(added, self.stamps, |name| {
                names.binary_search(&name.as_bytes()).is_err()
            });
            &mut own
        } else {
            chosen(&mut self.patch_leads, self.stamps)
        };
        lead.set_time(time);
        let clash = &mut |name: &str, value: RawValue<'_>| clash(self.recipe, name, value);
        let mut reader = Reader::new(&self.patch);
        Ok(self.writer.next_record(out, lead, &mut reader, clash)?)
    }
}

/// The lead with the time, or the one without it.
fn chosen([with, without]: &mut [Lead; 2], stamps: bool) -> &mut Lead {
    if stamps { with } else { without }
}

/// The names in a list, sorted, because a sender decides how many there are; `None` when it is no list.
fn names_in(list: RawValue<'_>) -> Option<Vec<&[u8]>> {
    let mut names: Vec<&[u8]> = list.items()?.filter_map(RawValue::as_bytes).collect();
    names.sort_unstable();
    Some(names)
}

/// What becomes of a field that has the name of one that is added.
fn clash(recipe: &Recipe, name: &str, value: RawValue<'_>) -> Clash {
    if recipe.timestamp_key.as_deref() != Some(name) || value.token() == Token::Nil {
        Clash::Lead
    } else if is_date(value) {
        Clash::Record
    } else {
        Clash::Rename(format!("{name}_raw"))
    }
}
