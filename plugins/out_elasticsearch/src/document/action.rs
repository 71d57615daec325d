//! Action lines: rendered once per index, with the place of the id left open.

use sdk::json;

use crate::document::{identity, operation::Operation};

/// Longest id, in bytes. Source: Elasticsearch; a longer one makes it refuse the whole request.
const ID_LEN_MAX: usize = 512;

/// What a single record adds to its action line.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// The id that the record names.
    pub(crate) id: Option<String>,
    /// The routing that the record names.
    pub(crate) routing: Option<String>,
}

/// The action line of the records of one frame and one index.
#[derive(Debug)]
pub(crate) struct ActionLine {
    operation: Operation,
    /// `{"create":{"_index":"logs"`, or without the index where it stands in the address.
    head: Vec<u8>,
    /// The whole line of a record with an id from its identity.
    whole: Vec<u8>,
    common: Option<[u8; identity::FRAME_LEN]>,
    /// For which period the head is right.
    period: Option<i64>,
}

impl ActionLine {
    /// A line that has no index yet.
    pub(crate) fn new(operation: Operation) -> Self {
        Self {
            operation,
            head: Vec::new(),
            whole: Vec::new(),
            common: None,
            period: None,
        }
    }

    /// Whether the index is right for this period.
    #[inline]
    pub(crate) fn has_index(&self, period: Option<i64>) -> bool {
        period.is_some() && self.period == period
    }

    /// The index has to be named again.
    pub(crate) fn forget_index(&mut self) {
        self.period = None;
    }

    /// Names the index, and the pipeline where that differs from record to record.
    pub(crate) fn set_index(&mut self, name: &str, pipeline: &str, period: Option<i64>) {
        self.period = period;
        self.head.clear();
        self.head.extend_from_slice(b"{\"");
        self.head
            .extend_from_slice(self.operation.op_type.as_str().as_bytes());
        self.head.extend_from_slice(b"\":{");
        if !self.operation.index_in_url {
            begin(&mut self.head, "_index");
            json::write_text(&mut self.head, name.as_bytes());
        }
        if !pipeline.is_empty() {
            begin(&mut self.head, "pipeline");
            json::write_text(&mut self.head, pipeline.as_bytes());
        }
        if let Some(times) = self.operation.retry_on_conflict {
            begin(&mut self.head, "retry_on_conflict");
            self.head.extend_from_slice(times.to_string().as_bytes());
        }
        self.render();
    }

    /// Sets what the ids of the frame have in common.
    pub(crate) fn set_common(&mut self, common: [u8; identity::FRAME_LEN]) {
        self.common = Some(common);
        self.render();
    }

    fn render(&mut self) {
        self.whole.clear();
        self.whole.extend_from_slice(&self.head);
        if let Some(common) = &self.common {
            begin(&mut self.whole, "_id");
            self.whole.push(b'"');
            self.whole.extend_from_slice(common);
            self.whole.extend_from_slice(&identity::of_place(0));
            self.whole.push(b'"');
        }
        self.whole.extend_from_slice(END);
    }

    /// Appends the line of one record.
    ///
    /// # Errors
    /// An id that is too long.
    #[inline]
    pub(crate) fn write(
        &mut self,
        out: &mut Vec<u8>,
        parts: &Parts,
        place: u32,
    ) -> Result<(), String> {
        if parts.id.is_some() || parts.routing.is_some() {
            return self.write_parts(out, parts, place);
        }
        if self.common.is_some() {
            let at = self.whole.len() - TAIL_LEN;
            let slot = self
                .whole
                .get_mut(at..)
                .and_then(|tail| tail.first_chunk_mut());
            if let Some(slot) = slot {
                *slot = identity::of_place(place);
            }
        }
        out.extend_from_slice(&self.whole);
        Ok(())
    }

    #[cold]
    fn write_parts(&self, out: &mut Vec<u8>, parts: &Parts, place: u32) -> Result<(), String> {
        out.extend_from_slice(&self.head);
        if let Some(id) = &parts.id {
            if id.len() > ID_LEN_MAX {
                let len = id.len();
                return Err(format!(
                    "the field `id_key` has {len} bytes; an id can have {ID_LEN_MAX}"
                ));
            }
            begin(out, "_id");
            json::write_text(out, id.as_bytes());
        } else if let Some(common) = &self.common {
            begin(out, "_id");
            out.push(b'"');
            out.extend_from_slice(common);
            out.extend_from_slice(&identity::of_place(place));
            out.push(b'"');
        }
        if let Some(routing) = &parts.routing {
            begin(out, "routing");
            json::write_text(out, routing.as_bytes());
        }
        out.extend_from_slice(END);
        Ok(())
    }
}

/// Begins a parameter, which may be the first.
fn begin(out: &mut Vec<u8>, name: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// The end of a line.
const END: &[u8] = b"}}\n";
/// From the place in an id to the end of its line.
const TAIL_LEN: usize = identity::PLACE_LEN + 1 + END.len();

/// The id in the action line of a record's part of the body, to name the record in messages.
pub(crate) fn id_of(part: &[u8]) -> Option<&str> {
    let line = part.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let (_, id) = line.rsplit_once("\"_id\":\"")?;
    id.split('"').next()
}
