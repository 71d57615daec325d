//! Answers with a limit.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;

use crate::Broken;

/// Why an answer was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// It broke off.
    Broken(Broken),
    /// It is longer than it may be.
    TooLong,
}

/// Reads the body of an answer, at most `len_max` bytes of it, whatever length it declares. `timeout` is that of the
/// request.
///
/// # Errors
/// [`Unread`]. The connection is closed then.
pub async fn read(
    mut answer: Response,
    len_max: usize,
    timeout: Duration,
) -> Result<Bytes, Unread> {
    let broken = |error| {
        Unread::Broken(Broken {
            is_sent: true,
            ..Broken::new(error, timeout)
        })
    };
    let declared = answer.content_length();
    if declared.is_some_and(|len| len > len_max as u64) {
        return Err(Unread::TooLong);
    }
    let mut body = BytesMut::new();
    while let Some(part) = answer.chunk().await.map_err(broken)? {
        if body.len() + part.len() > len_max {
            return Err(Unread::TooLong);
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}
