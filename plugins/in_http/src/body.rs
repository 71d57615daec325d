//! Taking in a body: limits of size and time, memory from the budget, decompression.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use sdk::budget::{Budget, Permit};
use tokio::time::{Instant, timeout, timeout_at};

use crate::inflate::{Coding, InflateError, Inflater};

/// So much a request may hold without taking it from the budget: most bodies are whole by then.
const FREE_BYTES: usize = 64 << 10;
/// Taken at least, so that a large body does not take for every read.
const GRAIN_BYTES: usize = 256 << 10;
/// Bodies up to this size are decompressed and read on the thread that serves the socket.
pub(crate) const SMALL_BYTES: usize = 64 << 10;

/// Why a body was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is too large.
    #[error("the body has more than {0} bytes: raise body_size_limit, or send less at a time")]
    Large(usize),
    /// It came too slowly.
    #[error("the body did not arrive within {} s", .0.as_secs_f64())]
    Slow(Duration),
    /// There is no memory for it.
    #[error("there is no memory for the body now")]
    NoRoom,
    /// The sender went away.
    #[error("the body was cut off")]
    CutOff,
    /// It cannot be decompressed.
    #[error(transparent)]
    Inflate(#[from] InflateError),
    /// Its thread panicked.
    #[error("the body could not be read")]
    Panic,
}

/// The memory of a request.
pub(crate) struct Room {
    budget: Budget,
    patience: Duration,
    taken: Option<Permit>,
}

impl Room {
    /// None yet. `patience` is how long it may wait for more.
    pub(crate) fn new(budget: Budget, patience: Duration) -> Self {
        Self {
            budget,
            patience,
            taken: None,
        }
    }

    /// Waits until there is room for `held` bytes.
    ///
    /// # Errors
    /// `NoRoom` when there is none for too long.
    pub(crate) async fn cover(&mut self, held: usize) -> Result<(), BodyError> {
        let wanted = held.saturating_sub(FREE_BYTES);
        let have = self.taken.as_ref().map_or(0, Permit::bytes);
        let is_beyond = self.taken.as_ref().is_some_and(Permit::has_spare);
        if have >= wanted || is_beyond {
            return Ok(());
        }
        let more = self.budget.take_or_spare((wanted - have).max(GRAIN_BYTES));
        let more = timeout(self.patience, more).await;
        let mut more = more.map_err(|_| BodyError::NoRoom)?;
        if let Some(taken) = self.taken.take() {
            more.join(taken);
        }
        self.taken = Some(more);
        Ok(())
    }

    /// What goes along with the records.
    pub(crate) fn hand_on(self) -> Option<Permit> {
        self.taken
    }
}

/// Limits of bodies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) bytes: usize,
    pub(crate) ratio: u64,
    pub(crate) timeout: Duration,
}

/// Reads the whole body.
///
/// # Errors
/// [`BodyError`].
pub(crate) async fn read(
    mut body: Incoming,
    limits: Limits,
    room: &mut Room,
) -> Result<Bytes, BodyError> {
    let deadline = Instant::now() + limits.timeout;
    // A length that is declared is refused before anything of it is read.
    let declared = body.size_hint().exact();
    if declared.is_some_and(|declared| declared > limits.bytes as u64) {
        return Err(BodyError::Large(limits.bytes));
    }
    let mut whole = BytesMut::new();
    loop {
        let frame = timeout_at(deadline, body.frame()).await;
        let Some(frame) = frame.map_err(|_| BodyError::Slow(limits.timeout))? else {
            return Ok(whole.freeze());
        };
        let Ok(data) = frame.map_err(|_| BodyError::CutOff)?.into_data() else {
            continue;
        };
        if whole.len() + data.len() > limits.bytes {
            return Err(BodyError::Large(limits.bytes));
        }
        room.cover(whole.len() + data.len()).await?;
        if whole.is_empty() && declared == Some(data.len() as u64) {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
}

/// Undoes the codings.
///
/// # Errors
/// [`BodyError`].
pub(crate) async fn inflate(
    body: Bytes,
    codings: &[Coding],
    limits: Limits,
    room: &mut Room,
) -> Result<Bytes, BodyError> {
    if codings.is_empty() {
        return Ok(body);
    }
    let compressed = body.len();
    let mut inflater = Inflater::new(body, codings, limits.bytes, limits.ratio)?;
    loop {
        room.cover(compressed + inflater.held_bytes()).await?;
        let ended;
        if compressed <= SMALL_BYTES {
            ended = inflater.step()?;
            // A small body can become large: others must have their turn.
            tokio::task::yield_now().await;
        } else {
            let step = tokio::task::spawn_blocking(move || {
                let ended = inflater.step();
                (inflater, ended)
            });
            let (back, result) = step.await.map_err(|_| BodyError::Panic)?;
            inflater = back;
            ended = result?;
        }
        if ended {
            return Ok(inflater.finish());
        }
    }
}
