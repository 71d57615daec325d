//! From records to stored batches: cutting, ids, the obligation, and waiting for it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use sdk::{
    budget::Permit,
    event::{Batch, DIGEST_LEN, Fingerprint, Group, Origin, Piece, Session, Tag},
    input::{EmitError, InputCx},
    obligation::{Obligation, Receipt},
};
use sha2::{Digest as _, Sha256};

use crate::records::Records;

/// The largest frame of a buffer. What is larger goes there in pieces that become valid together.
const FRAME_BYTES_MAX: usize = 8 << 20;

/// How the records of a source are recognised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recognition {
    /// Whether ids of documents are made from the sender's.
    pub(crate) identifies: bool,
    pub(crate) window: Option<Duration>,
}

/// One frame, or the pieces of one.
struct Portion {
    id: Option<Bytes>,
    /// Records and bytes in it.
    records: (usize, usize),
    bytes: (usize, usize),
}

/// Emits the records. The receipt resolves when all are stored.
///
/// # Errors
/// The pipeline did not take them; what was taken of them is not acknowledged.
pub(crate) async fn emit(
    cx: &InputCx,
    tag: &Tag,
    records: Records,
    cut: &[(Bytes, usize)],
    recognition: Recognition,
    permit: Option<Arc<Permit>>,
) -> Result<Receipt, EmitError> {
    let Records { events, ends, .. } = records;
    let events = Bytes::from(events);
    let (due, receipt) = Obligation::new();
    for portion in portions(&ends, cut) {
        let digest = portion
            .id
            .as_ref()
            .map(|id| digest(tag, id, &events, portion.bytes));
        let pieces = pieces(&ends, &portion);
        let group = (pieces.len() > 1).then(Group::next);
        let last = pieces.len() - 1;
        for (index, (first, count, from, to)) in pieces.into_iter().enumerate() {
            let is_last = index == last;
            let origin = portion.id.as_ref().map(|id| Origin {
                // The buffer gives the id of the last piece to the others.
                chunk: if is_last { id.clone() } else { Bytes::new() },
                first,
                kept: None,
                identifies: recognition.identifies,
            });
            let batch = Batch {
                tag: tag.clone(),
                events: events.slice(from..to),
                count,
                origin,
                piece: group.as_ref().map(|group| Piece {
                    group: Arc::clone(group),
                    last: is_last,
                }),
                fingerprint: digest
                    .filter(|_| is_last)
                    .and_then(|digest| fingerprint(digest, recognition)),
                due: due.clone(),
                permit: permit.clone(),
            };
            cx.emit.emit(batch).await?;
        }
    }
    due.meet();
    Ok(receipt)
}

/// What tells that the records came before. The sender says so itself by the id, so every answer may have been missed.
fn fingerprint(digest: [u8; DIGEST_LEN], recognition: Recognition) -> Option<Fingerprint> {
    let mut session = Session::new();
    recognition
        .window
        .map(|window| session.next(digest, window))
}

fn digest(tag: &Tag, id: &[u8], events: &Bytes, (from, to): (usize, usize)) -> [u8; DIGEST_LEN] {
    let bytes = events.get(from..to).unwrap_or_default();
    let mut digest = Sha256::new();
    // Without the entries: their times are those of receipt where the sender gave none.
    for part in [tag.as_str().as_bytes(), id] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.update((bytes.len() as u64).to_le_bytes());
    let mut short = [0; DIGEST_LEN];
    let parts = short.iter_mut().zip(digest.finalize());
    parts.for_each(|(slot, byte)| *slot = byte);
    short
}

/// The records by their ids; in one portion when they have none.
fn portions(ends: &[usize], cut: &[(Bytes, usize)]) -> Vec<Portion> {
    let offset = |record: usize| match record.checked_sub(1) {
        None => 0,
        Some(before) => ends.get(before).copied().unwrap_or_default(),
    };
    let whole = [(None, ends.len())];
    let named: Vec<(Option<Bytes>, usize)> = cut
        .iter()
        .map(|(id, end)| (Some(id.clone()), *end))
        .collect();
    let named = if cut.is_empty() { &whole[..] } else { &named };
    let mut begin = 0;
    let mut portions = Vec::new();
    for (id, end) in named {
        if *end > begin {
            portions.push(Portion {
                id: id.clone(),
                records: (begin, *end),
                bytes: (offset(begin), offset(*end)),
            });
        }
        begin = *end;
    }
    portions
}

/// First record (within the portion), number of records, and bytes of each piece.
fn pieces(ends: &[usize], portion: &Portion) -> Vec<(u32, u32, usize, usize)> {
    let (begin, end) = portion.records;
    let mut pieces = Vec::new();
    let (mut first, mut from) = (begin, portion.bytes.0);
    let mut at = from;
    let number = |records: usize| u32::try_from(records).unwrap_or(u32::MAX);
    for record in begin..end {
        let to = ends.get(record).copied().unwrap_or(at);
        if to - from > FRAME_BYTES_MAX && record > first {
            pieces.push((number(first - begin), number(record - first), from, at));
            (first, from) = (record, at);
        }
        at = to;
    }
    pieces.push((number(first - begin), number(end - first), from, at));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_cut_by_id_and_by_size() {
        let mib = 1 << 20;
        let ends = [3 * mib, 6 * mib, 9 * mib, 10 * mib];
        let cut = [
            (Bytes::from("a"), 3),
            (Bytes::from("b"), 3),
            (Bytes::from("c"), 4),
        ];
        let portions = portions(&ends, &cut);
        let ids: Vec<_> = portions
            .iter()
            .map(|portion| portion.id.clone().unwrap())
            .collect();
        assert_eq!(ids, ["a", "c"], "b has no records");
        let first = vec![(0, 2, 0, 6 * mib), (2, 1, 6 * mib, 9 * mib)];
        assert_eq!(pieces(&ends, &portions[0]), first);
        assert_eq!(pieces(&ends, &portions[1]), vec![(0, 1, 9 * mib, 10 * mib)]);
    }
}
