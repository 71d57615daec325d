//! COPY of many rows, and finding those that the table refuses.

use std::{ops::Range, pin::pin};

use bytes::Bytes;
use futures_util::SinkExt as _;
use sdk::output::{Failure, Verdict};
use tokio_postgres::{Error, Transaction};

use crate::trouble::{self, Fault};

/// Sent at a time, in bytes.
const PIECE_BYTES: usize = 256 << 10;

/// The rows of a chunk.
#[derive(Debug, Default)]
pub(crate) struct Text {
    pub(crate) bytes: Bytes,
    /// Index in the chunk, and where the row ends.
    pub(crate) rows: Vec<(u32, usize)>,
}

impl Text {
    fn bytes_of(&self, rows: &Range<usize>) -> Bytes {
        let end = |row: usize| self.rows.get(row).map_or(0, |(_, end)| *end);
        let from = rows.start.checked_sub(1).map_or(0, end);
        let to = rows.end.checked_sub(1).map_or(0, end);
        self.bytes.slice(from..to.max(from))
    }
}

/// Writes the rows within `transaction`; returns the verdicts of those that the table refuses. With a row that is
/// refused the rows are written in halves, each with a savepoint, until it is alone.
///
/// # Errors
/// Not for the fault of a row.
pub(crate) async fn copy(
    transaction: &mut Transaction<'_>,
    sql: &str,
    text: &Text,
) -> Result<Vec<(u32, Verdict)>, Error> {
    let mut refused = Vec::new();
    let all = 0..text.rows.len();
    let mut waiting = vec![all];
    while let Some(rows) = waiting.pop() {
        if rows.is_empty() {
            continue;
        }
        let savepoint = transaction.savepoint("rows").await?;
        let sent = send(&savepoint, sql, text.bytes_of(&rows)).await;
        let error = match sent {
            Ok(()) => {
                savepoint.commit().await?;
                continue;
            }
            Err(error) if trouble::fault(&error) == Fault::Data => error,
            Err(error) => return Err(error),
        };
        savepoint.rollback().await?;
        if rows.len() > 1 {
            let middle = rows.start + rows.len() / 2;
            waiting.extend([middle..rows.end, rows.start..middle]);
        } else if let Some((index, _)) = text.rows.get(rows.start) {
            let failure: Failure = trouble::failure(&error, "the table refuses the record");
            refused.push((*index, Verdict::Reject(failure)));
        }
    }
    Ok(refused)
}

async fn send(transaction: &Transaction<'_>, sql: &str, mut bytes: Bytes) -> Result<(), Error> {
    let mut copy = pin!(transaction.copy_in::<_, Bytes>(sql).await?);
    while !bytes.is_empty() {
        let piece = bytes.split_to(PIECE_BYTES.min(bytes.len()));
        copy.send(piece).await?;
    }
    copy.finish().await.map(drop)
}
