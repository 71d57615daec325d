//! From the frames of a chunk to messages, straight from their bytes.

use std::{collections::HashMap, ops::Range};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use sdk::{
    event::{Entries, Origin, Tag},
    msgpack::write,
    output::{ChunkView, Frame},
};

use crate::{compress, config::Compress, rewrite::Rewrite};

/// Frames of one tag are joined up to this size, in bytes. Fluent Bit takes 6 MB by default.
const JOINED_MAX: usize = 4 << 20;
/// Room for what stands before and behind the entries, in bytes.
const FRAMING_LEN: usize = 128;
/// Start of a hash by FNV-1a, 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x100_0000_01b3;

/// How messages are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) asks_ack: bool,
    pub(crate) compress: Compress,
    pub(crate) rewrite: Rewrite,
}

/// One message, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// Its bytes, in pieces.
    pub(crate) parts: Vec<Bytes>,
    /// Its id as the server must repeat it, without a MessagePack header; `None` when no answer is wanted.
    pub(crate) id: Option<Bytes>,
    /// Its records, as indexes into the chunk.
    pub(crate) records: Vec<Range<u32>>,
}

/// A message before it is written.
#[derive(Debug)]
struct Draft {
    tag: Tag,
    entries: Vec<Bytes>,
    len: usize,
    count: u32,
    records: Vec<Range<u32>>,
    /// The sender's own id, where the message is the sender's.
    origin: Option<Bytes>,
    sequence: u64,
    /// Of every sequence and bitmap: what else the id is made of.
    hash: u64,
}

/// Makes the messages of what is alive in a chunk.
///
/// # Errors
/// Those of the compressor.
pub(crate) async fn messages(
    chunk: ChunkView<'_>,
    recipe: Recipe,
) -> std::io::Result<Vec<Message>> {
    let mut messages = Vec::new();
    for draft in drafts(chunk, recipe) {
        messages.push(finish(draft, chunk.buffer, recipe).await?);
    }
    Ok(messages)
}

/// Groups the frames. What came as one message with an id leaves as one under its id; the rest is joined by tag.
fn drafts(chunk: ChunkView<'_>, recipe: Recipe) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    let mut open: HashMap<Tag, usize> = HashMap::new();
    let mut first = 0_u32;
    for (at, frame) in chunk.frames.iter().enumerate() {
        let records = first..first.saturating_add(frame.count);
        first = records.end;
        let Some(mut draft) = draft(chunk, frame, records, recipe) else {
            continue;
        };
        draft.origin = draft
            .origin
            .filter(|id| !goes_on(id, chunk.frames.get(at + 1)));
        if draft.origin.is_some() {
            // Later frames of the tag must not overtake it.
            open.remove(&frame.tag);
            drafts.push(draft);
            continue;
        }
        let joined = open
            .get(&frame.tag)
            .and_then(|index| drafts.get_mut(*index));
        if let Some(joined) = joined.filter(|joined| joined.len + draft.len <= JOINED_MAX) {
            joined.join(draft);
        } else {
            open.insert(frame.tag.clone(), drafts.len());
            drafts.push(draft);
        }
    }
    drafts
}

/// What is alive in a frame; `None` when nothing is.
fn draft(
    chunk: ChunkView<'_>,
    frame: &Frame,
    records: Range<u32>,
    recipe: Recipe,
) -> Option<Draft> {
    let mut hash = fnv(FNV_OFFSET, &frame.sequence.to_le_bytes());
    let alive = records
        .clone()
        .filter(|index| chunk.is_live(*index))
        .count();
    let count = u32::try_from(alive).unwrap_or(u32::MAX);
    let is_whole = count == frame.count;
    let (entries, origin) = if is_whole {
        (frame.events.clone(), frame.origin.as_ref())
    } else {
        for index in records.clone() {
            hash = fnv(hash, &[u8::from(chunk.is_live(index))]);
        }
        (alive_entries(chunk, frame, records.start), None)
    };
    let entries = recipe.rewrite.apply(entries);
    (count > 0).then(|| Draft {
        tag: frame.tag.clone(),
        len: entries.len(),
        entries: vec![entries],
        count,
        records: vec![records],
        origin: origin.filter(|_| recipe.asks_ack).and_then(whole_message),
        sequence: frame.sequence,
        hash,
    })
}

/// The id of a sender's message that is here as it came, with every record.
fn whole_message(origin: &Origin) -> Option<Bytes> {
    let is_whole = origin.first == 0 && origin.kept.is_none() && !origin.chunk.is_empty();
    is_whole.then(|| origin.chunk.clone())
}

/// Whether `next` is the next piece of the message `id`, of which then no frame is the whole.
fn goes_on(id: &Bytes, next: Option<&Frame>) -> bool {
    let origin = next.and_then(|frame| frame.origin.as_ref());
    origin.is_some_and(|origin| origin.first > 0 && origin.chunk == *id)
}

fn alive_entries(chunk: ChunkView<'_>, frame: &Frame, first: u32) -> Bytes {
    let mut kept = Vec::new();
    let entries = Entries::new(&frame.events).map_while(Result::ok);
    for (index, event) in (first..).zip(entries) {
        if chunk.is_live(index) {
            kept.extend_from_slice(event.entry);
        }
    }
    kept.into()
}

impl Draft {
    fn join(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.len += other.len;
        self.count = self.count.saturating_add(other.count);
        self.records.extend(other.records);
        self.hash = fnv(self.hash, &other.hash.to_le_bytes());
    }

    /// The same for the same frames, whenever they are sent, and another for any other set of frames: a server that
    /// remembers ids must never take a larger message for one that it has.
    fn id(&self, buffer: u128) -> Bytes {
        let mut id = Vec::with_capacity(32);
        id.extend_from_slice(&buffer.to_be_bytes());
        id.extend_from_slice(&self.sequence.to_be_bytes());
        id.extend_from_slice(&self.hash.to_be_bytes());
        URL_SAFE_NO_PAD.encode(id).into()
    }
}

/// Writes `[tag, entries, {size, compressed, chunk}]`, types and order as Fluentd has them: entries are a str of 32 bits.
async fn finish(draft: Draft, buffer: u128, recipe: Recipe) -> std::io::Result<Message> {
    let id = recipe
        .asks_ack
        .then(|| draft.origin.clone().unwrap_or_else(|| draft.id(buffer)));
    let packed = match recipe.compress {
        Compress::Text => None,
        method => compress::pack(method, &draft.entries, draft.len).await?,
    };
    let (entries, len, method) = match packed {
        Some(packed) => (vec![packed.clone()], packed.len(), recipe.compress),
        None => (draft.entries, draft.len, Compress::Text),
    };
    let len = u32::try_from(len)
        .map_err(|_| std::io::Error::other("a frame is longer than a message can be"))?;
    let mut head = Vec::with_capacity(FRAMING_LEN);
    write::array(&mut head, 3);
    write::str(&mut head, draft.tag.as_str());
    head.push(0xdb);
    head.extend_from_slice(&len.to_be_bytes());
    let mut tail = Vec::with_capacity(FRAMING_LEN);
    write::map(&mut tail, 2 + u32::from(id.is_some()));
    write::str(&mut tail, "size");
    write::uint(&mut tail, u64::from(draft.count));
    write::str(&mut tail, "compressed");
    write::str(&mut tail, method.as_str());
    if let Some(id) = &id {
        write::str(&mut tail, "chunk");
        match std::str::from_utf8(id) {
            Ok(text) => write::str(&mut tail, text),
            Err(_) => write::bin(&mut tail, id),
        }
    }
    let mut parts = Vec::with_capacity(entries.len() + 2);
    parts.push(head.into());
    parts.extend(entries);
    parts.push(tail.into());
    Ok(Message {
        parts,
        id,
        records: draft.records,
    })
}

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME)
    })
}
