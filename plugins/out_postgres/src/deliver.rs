//! From a chunk to one transaction: claiming its frames, writing what is new of them.

use std::{collections::HashSet, fmt::Write as _};

use sdk::output::{ChunkView, Failure, FailureKind, Frame, Outcome, Verdict};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use tokio_postgres::{Client, Error};

use crate::{
    copy::{self, Text},
    pool::Pool,
    row::Rows,
    settings::Settings,
    trouble::{self, Fault},
};

/// A frame, or the part of it that is alive.
struct Claim {
    key: String,
    /// Index of its first record in the chunk.
    first: u32,
    /// Rows of it.
    text: Vec<u8>,
    rows: Vec<(u32, usize)>,
}

/// Writes the live records of a chunk.
pub(crate) async fn deliver(settings: &Settings, pool: &Pool, chunk: ChunkView<'_>) -> Outcome {
    let mut except = Vec::new();
    let claims = claims(settings, chunk, &mut except);
    let mut client = match pool.take().await {
        Ok(client) => client,
        Err(failure) => return without_connection(failure),
    };
    let written = timeout(settings.patience, write(settings, &mut client, &claims)).await;
    match written {
        Ok(Ok(refused)) => {
            pool.give_back(client);
            except.extend(refused);
            if except.is_empty() {
                return Outcome::Delivered;
            }
            except.sort_unstable_by_key(|(index, _)| *index);
            Outcome::Except(except)
        }
        // The connection is thrown away: a transaction may be open, or its end unknown.
        Ok(Err(error)) => {
            let failure = trouble::failure(&error, "the chunk was not written");
            match trouble::fault(&error) {
                Fault::Down => Outcome::DestinationDown(failure),
                Fault::Passing | Fault::Data => Outcome::RetryChunk(None, failure),
            }
        }
        Err(_) => {
            let secs = settings.patience.as_secs_f64();
            let message = format!("the chunk was not written within {secs} s");
            Outcome::RetryChunk(None, Failure::new(FailureKind::Timeout, message))
        }
    }
}

fn without_connection(failure: Failure) -> Outcome {
    match failure.kind {
        // The tables cannot be made: that is not for want of a database.
        FailureKind::Mapping | FailureKind::Rejected => Outcome::RetryChunk(None, failure),
        _ => Outcome::DestinationDown(failure),
    }
}

/// The rows of each frame, under its key.
fn claims(
    settings: &Settings,
    chunk: ChunkView<'_>,
    except: &mut Vec<(u32, Verdict)>,
) -> Vec<Claim> {
    let mut rows = Rows::new(settings);
    let mut claims = Vec::with_capacity(chunk.frames.len());
    let mut first = 0;
    for frame in chunk.frames {
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        let mut live = Vec::new();
        for (place, event) in (0..frame.count).zip(frame.entries().map_while(Result::ok)) {
            let index = first + place;
            if !chunk.is_live(index) {
                continue;
            }
            live.push(place);
            match rows.write(&frame.tag, &event, &mut text) {
                Ok(()) => ends.push((index, text.len())),
                Err(failure) => except.push((index, Verdict::Reject(failure))),
            }
        }
        if !ends.is_empty() {
            claims.push(Claim {
                key: key(chunk.buffer, frame, &live),
                first,
                text,
                rows: ends,
            });
        }
        first += frame.count;
    }
    claims
}

/// What a frame is called for ever: its sequence in its buffer, or where its source says so the sender's own id. After
/// a restart a chunk may be made of other frames, so a chunk has no such name.
fn key(buffer: u128, frame: &Frame, live: &[u32]) -> String {
    let mut key = match frame.origin.as_ref().filter(|origin| origin.identifies) {
        None => format!("{buffer:032x}-{}", frame.sequence),
        Some(origin) => {
            let mut key = String::from("o");
            for byte in &origin.chunk {
                let _infallible = write!(key, "{byte:02x}");
            }
            let _infallible = write!(key, ".{}", origin.first);
            if let Some(kept) = &origin.kept {
                let _infallible = write!(key, ".{}", digest(kept));
            }
            key
        }
    };
    if live.len() as u64 != u64::from(frame.count) {
        let bytes: Vec<u8> = live.iter().flat_map(|place| place.to_le_bytes()).collect();
        let _infallible = write!(key, "p{}", digest(&bytes));
    }
    key
}

fn digest(bytes: &[u8]) -> String {
    let whole = Sha256::digest(bytes);
    whole.iter().take(16).fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// One transaction: the keys that are new, and their rows. When its end is not known, the next try finds the keys or
/// does not, and is right either way.
async fn write(
    settings: &Settings,
    client: &mut Client,
    claims: &[Claim],
) -> Result<Vec<(u32, Verdict)>, Error> {
    let mut transaction = client.transaction().await?;
    let keys: Vec<&str> = claims.iter().map(|claim| claim.key.as_str()).collect();
    let new = transaction
        .query(settings.claim_sql.as_str(), &[&keys])
        .await?;
    let new: HashSet<String> = new.iter().filter_map(|row| row.try_get(0).ok()).collect();
    let mut refused = Vec::new();
    if new.len() < keys.len() {
        for row in transaction
            .query(settings.refused_sql.as_str(), &[&keys])
            .await?
        {
            let (key, places): (String, Vec<i64>) = (row.try_get(0)?, row.try_get(1)?);
            refused.extend(refused_before(claims, &key, &places));
        }
    }
    let mut bytes = Vec::new();
    let mut rows = Vec::new();
    let mut taken: HashSet<&str> = HashSet::new();
    for claim in claims {
        // Of two frames with one key in a chunk, the second repeats the first.
        if new.contains(&claim.key) && taken.insert(&claim.key) {
            let offset = bytes.len();
            bytes.extend_from_slice(&claim.text);
            rows.extend(claim.rows.iter().map(|(index, end)| (*index, offset + end)));
        } else {
            settings.repeated.inc_by(claim.rows.len() as u64);
        }
    }
    let text = Text {
        bytes: bytes.into(),
        rows,
    };
    let wrong = copy::copy(&mut transaction, &settings.copy_sql, &text).await?;
    // When the answer to the commit is lost, the next try must know of them, too.
    for claim in claims {
        let places: Vec<i64> = (wrong.iter())
            .filter(|(index, _)| claim.rows.iter().any(|(row, _)| row == index))
            .map(|(index, _)| i64::from(index - claim.first))
            .collect();
        if !places.is_empty() {
            transaction
                .execute(settings.note_sql.as_str(), &[&claim.key, &places])
                .await?;
        }
    }
    transaction.commit().await?;
    refused.extend(wrong);
    Ok(refused)
}

/// The verdicts that were given when the key was taken, in a try whose end was not known.
fn refused_before(claims: &[Claim], key: &str, places: &[i64]) -> Vec<(u32, Verdict)> {
    let failure = Failure::new(FailureKind::Mapping, "the table refused the record before");
    let claims = claims.iter().filter(|claim| claim.key == key);
    claims
        .flat_map(|claim| {
            let refused = move |index: u32| places.contains(&i64::from(index - claim.first));
            claim
                .rows
                .iter()
                .map(|(index, _)| *index)
                .filter(move |index| refused(*index))
        })
        .map(|index| (index, Verdict::Reject(failure.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sdk::{event::Origin, testing::frame};
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_last_and_parts_have_their_own() {
        let mut frame = frame(7, "a", &[json!({}), json!({})]);
        assert_eq!(key(1, &frame, &[0, 1]), format!("{}1-7", "0".repeat(31)));
        assert_ne!(key(1, &frame, &[0]), key(1, &frame, &[1]));
        frame.origin = Some(Origin {
            chunk: Bytes::from("ab"),
            first: 3,
            kept: None,
            identifies: true,
        });
        assert_eq!(key(1, &frame, &[0, 1]), key(2, &frame, &[0, 1]));
        assert_eq!(key(1, &frame, &[0, 1]), "o6162.3");
    }
}
