//! Messages, one after the other, each until it has arrived.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use sdk::{
    event::Tag,
    output::{Bitmap, ChunkView, Failure, FailureKind, Frame, Outcome, Output, Verdict},
};
use tokio::time::sleep;

use super::CatError;

/// How often a message is tried again once something has arrived, as fluent-cat does.
const RETRIES: u32 = 5;
/// The first wait. It doubles each time.
const WAIT: Duration = Duration::from_secs(1);
/// The longest wait is the first one, doubled so often.
const DOUBLINGS_MAX: u32 = 4;

/// Entries of one tag that go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Their tag.
    pub tag: Tag,
    /// Entries back to back.
    pub events: Bytes,
    /// How many they are.
    pub count: u32,
}

/// How many records went where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that were handed to the output.
    pub sent: u64,
    /// Those that it says have arrived.
    pub arrived: u64,
}

/// A message that will be tried again.
#[derive(Debug, Clone, Copy)]
pub struct Again<'a> {
    /// Why.
    pub failure: &'a Failure,
    /// How long it waits before.
    pub wait: Duration,
}

/// How often something is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trying {
    pub(super) retry_limit: Option<u32>,
}

impl Trying {
    /// Whether to go on after this failure. Credentials do not become right by themselves.
    fn goes_on(self, failure: &Failure, tried_again: u32, has_arrived: bool) -> bool {
        let implied = if has_arrived { RETRIES } else { 0 };
        let may_pass = !matches!(failure.kind, FailureKind::Auth | FailureKind::Tls);
        may_pass && tried_again < self.retry_limit.unwrap_or(implied)
    }
}

/// Brings messages to an output.
pub(super) struct Courier<F> {
    output: Arc<dyn Output>,
    /// Makes the ids of messages unlike those of every other process.
    buffer: u128,
    sequence: u64,
    again: F,
    pub(super) counts: Counts,
}

impl<F: FnMut(Again<'_>)> Courier<F> {
    pub(super) fn new(output: Arc<dyn Output>, again: F) -> Self {
        Self {
            output,
            buffer: fastrand::u128(..),
            sequence: 0,
            again,
            counts: Counts::default(),
        }
    }

    /// Brings a message.
    ///
    /// # Errors
    /// `Undelivered` when they are refused, or tried as often as told.
    pub(super) async fn send(&mut self, message: Message, trying: Trying) -> Result<(), CatError> {
        let Message { tag, events, count } = message;
        let frames = [Frame {
            sequence: self.sequence,
            tag,
            events,
            count,
            origin: None,
        }];
        self.sequence += 1;
        self.counts.sent += u64::from(count);
        let mut live = Bitmap::full(count);
        let mut attempt = 0;
        loop {
            let is_whole = live.alive() == count;
            let outcome = self
                .output
                .write(ChunkView {
                    buffer: self.buffer,
                    frames: &frames,
                    live: (!is_whole).then_some(&live),
                    attempt,
                })
                .await;
            let (still_live, failure, is_final) = left(outcome, &live);
            self.counts.arrived += u64::from(live.alive() - still_live.alive());
            live = still_live;
            let Some(failure) = failure else {
                return Ok(());
            };
            if is_final || !trying.goes_on(&failure, attempt, self.counts.arrived > 0) {
                return Err(CatError::Undelivered(failure));
            }
            let wait = WAIT * 2_u32.pow(attempt.min(DOUBLINGS_MAX));
            (self.again)(Again {
                failure: &failure,
                wait,
            });
            sleep(wait).await;
            attempt += 1;
        }
    }
}

/// What has not arrived, why, and whether it never will.
fn left(outcome: Outcome, live: &Bitmap) -> (Bitmap, Option<Failure>, bool) {
    match outcome {
        Outcome::Delivered => (Bitmap::empty(live.len()), None, false),
        Outcome::DestinationDown(failure) | Outcome::RetryChunk(_, failure) => {
            (live.clone(), Some(failure), false)
        }
        Outcome::RejectChunk(failure) => (live.clone(), Some(failure), true),
        Outcome::Except(verdicts) => {
            let mut left = Bitmap::empty(live.len());
            let (mut last, mut is_final) = (None, false);
            for (index, verdict) in verdicts {
                left.set(index, live.get(index));
                is_final |= matches!(verdict, Verdict::Reject(_));
                let (Verdict::Retry(_, failure) | Verdict::Reject(failure)) = verdict;
                last = Some(failure);
            }
            (left, last, is_final)
        }
    }
}
