//! Parting a batch by `chunk_keys`, before it is stored: every frame has records of one key.

use std::{collections::HashMap, ops::Range};

use bytes::{Bytes, BytesMut};
use sdk::event::{Batch, Fingerprint, Piece};

use super::chunk_keys::ChunkKeys;

/// Records of a batch that have one key, in their order.
#[derive(Debug, Default)]
struct Part {
    /// Where they stand among the events.
    runs: Vec<Range<usize>>,
    /// Their indexes in the batch.
    records: Vec<u32>,
}

impl Part {
    fn push(&mut self, index: u32, range: Range<usize>) {
        self.records.push(index);
        match self.runs.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.runs.push(range),
        }
    }

    fn events(&self, all: &Bytes) -> Bytes {
        if let [run] = &self.runs[..] {
            return all.slice(run.clone());
        }
        let mut events = BytesMut::with_capacity(self.runs.iter().map(Range::len).sum());
        for run in &self.runs {
            events.extend_from_slice(all.get(run.clone()).unwrap_or_default());
        }
        events.freeze()
    }
}

/// The batches of one key each, in the order of their first records.
pub(super) fn part(keys: &ChunkKeys, batch: Batch) -> Vec<Batch> {
    match look_inside(keys, &batch) {
        Some(parts) => divide(keys, batch, &parts),
        None => vec![batch],
    }
}

/// What has one key, with that key; `None` when all has the same.
fn look_inside(keys: &ChunkKeys, batch: &Batch) -> Option<Vec<(String, Part)>> {
    if !keys.look_inside() || batch.count < 2 {
        return None;
    }
    let mut parts: Vec<(String, Part)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let (mut key, mut current) = (String::new(), 0);
    let (mut index, mut offset) = (0_u32, 0);
    for event in batch.entries() {
        // What is not whole is for the output to complain of.
        let event = event.ok()?;
        key.clear();
        keys.write_key(&batch.tag, Some(&event), &mut key);
        if parts.get(current).is_none_or(|(known, _)| *known != key) {
            current = *places.entry(key.clone()).or_insert(parts.len());
            if current == parts.len() {
                parts.push((key.clone(), Part::default()));
            }
        }
        let end = offset + event.entry.len();
        if let Some((_, part)) = parts.get_mut(current) {
            part.push(index, offset..end);
        }
        (index, offset) = (index + 1, end);
    }
    (parts.len() > 1 && index == batch.count).then_some(parts)
}

fn divide(keys: &ChunkKeys, batch: Batch, parts: &[(String, Part)]) -> Vec<Batch> {
    let last = parts.len() - 1;
    let make = |(at, (key, part)): (usize, &(String, Part))| Batch {
        tag: batch.tag.clone(),
        events: part.events(&batch.events),
        count: u32::try_from(part.records.len()).unwrap_or(u32::MAX),
        origin: batch
            .origin
            .as_ref()
            .map(|origin| origin.narrowed(part.records.iter().copied())),
        piece: batch.piece.as_ref().map(|piece| Piece {
            group: piece.group.clone(),
            last: piece.last && at == last,
        }),
        fingerprint: match &batch.piece {
            // A message in pieces is stored as a whole or not at all, so its last piece speaks for all.
            Some(_) => batch.fingerprint.clone().filter(|_| at == last),
            None => batch
                .fingerprint
                .as_ref()
                .map(|whole| of_part(keys, whole, key)),
        },
        due: batch.due.clone(),
        permit: batch.permit.clone(),
    };
    let parts = parts.iter().enumerate().map(make).collect();
    // What was owed is owed by the parts now.
    batch.due.meet();
    parts
}

/// The fingerprint of a part. A crash may leave some parts of a message stored and others not, so each is known by
/// itself; and by the keys too, since other keys make other parts.
fn of_part(keys: &ChunkKeys, whole: &Fingerprint, key: &str) -> Fingerprint {
    let mut part = whole.clone();
    let own = fnv(format!("{keys:?}/{key}").as_bytes()).to_le_bytes();
    for (byte, own) in part.digest.iter_mut().zip(own) {
        *byte ^= own;
    }
    part
}

/// FNV-1a with 128 bits: the digest is one already, this only tells parts apart.
fn fnv(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let step = |hash: u128, byte: &u8| (hash ^ u128::from(*byte)).wrapping_mul(PRIME);
    bytes.iter().fold(BASIS, step)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sdk::{
        event::{DIGEST_LEN, FieldPath, Group, Origin, Session},
        testing,
    };
    use serde_json::json;

    use super::*;

    fn by_service() -> ChunkKeys {
        ChunkKeys {
            fields: vec![FieldPath::key("service")],
            ..ChunkKeys::default()
        }
    }

    fn batch() -> Batch {
        let records = ["web", "db", "web", "web", ""].map(|name| json!({ "service": name }));
        let mut batch = testing::batch("app", &records);
        batch.origin = Some(Origin {
            chunk: Bytes::from_static(b"id"),
            first: 10,
            kept: None,
            identifies: true,
        });
        batch
    }

    #[test]
    fn records_of_one_key_stay_together_in_their_order_and_keep_their_places() {
        let parts = part(&by_service(), batch());
        let seen = parts.iter().map(|part| {
            let services = testing::records(&part.events);
            let services = services.iter().map(|record| record["service"].to_string());
            let places: Vec<u32> = part.origin.as_ref().unwrap().places().collect();
            (services.collect::<Vec<_>>().join(" "), places, part.count)
        });
        let expected = [
            (r#""web" "web" "web""#.to_owned(), vec![10, 12, 13], 3),
            (r#""db""#.to_owned(), vec![11], 1),
            (r#""""#.to_owned(), vec![14], 1),
        ];
        assert_eq!(seen.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_missing_field_is_no_empty_one_and_one_key_is_no_part() {
        let records = [json!({ "service": "" }), json!({ "other": 1 })];
        let batch = testing::batch("app", &records);
        assert_eq!(part(&by_service(), batch.clone()).len(), 2);
        let alike = testing::batch("app", &[json!({ "service": 1 }), json!({ "service": "1" })]);
        assert_eq!(part(&by_service(), alike).len(), 1);
        let tag_alone = ChunkKeys {
            tag: true,
            ..ChunkKeys::default()
        };
        assert_eq!(part(&tag_alone, batch).len(), 1);
    }

    #[test]
    fn only_the_last_part_ends_a_message_and_only_whole_ones_are_known_part_by_part() {
        let mut batch = batch();
        let whole = Session::new().next([7; DIGEST_LEN], Duration::from_secs(9));
        batch.fingerprint = Some(whole.clone());
        let parts = part(&by_service(), batch.clone());
        let digests = |parts: &[Batch]| -> Vec<Option<[u8; DIGEST_LEN]>> {
            let prints = parts.iter().map(|part| part.fingerprint.as_ref());
            prints
                .map(|print| print.map(|print| print.digest))
                .collect()
        };
        let own = digests(&parts);
        assert!(
            own.iter()
                .all(|digest| digest.is_some_and(|digest| digest != whole.digest))
        );
        assert!(own[0] != own[1] && own[1] != own[2]);
        assert_eq!(own, digests(&part(&by_service(), batch.clone())));

        batch.piece = Some(Piece {
            group: Group::next(),
            last: true,
        });
        let parts = part(&by_service(), batch.clone());
        let lasts = parts.iter().map(|part| part.piece.as_ref().unwrap().last);
        assert_eq!(lasts.collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(digests(&parts), [None, None, Some(whole.digest)]);
    }
}
