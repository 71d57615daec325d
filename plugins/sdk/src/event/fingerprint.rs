//! What tells that a message was stored before: its fingerprint, and whether its sender may have missed the answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Length of a digest, in bytes.
pub const DIGEST_LEN: usize = 16;

/// What makes a message recognisable when its sender sends it again. Buffers keep it for a while, and do not store a
/// second time what they have stored when the sender cannot know it: see [`Session`].
#[derive(Debug, Clone)]
pub struct Fingerprint {
    /// Digest of the sender, its chunk id, and the bytes of the message.
    pub digest: [u8; DIGEST_LEN],
    /// How long it is remembered.
    pub window: Duration,
    /// The connection that it came over.
    session: Arc<State>,
    /// Its number on that connection.
    ordinal: u64,
}

/// A connection over which messages with fingerprints come. The sender has missed answers unless
/// [`end_answered`](Self::end_answered) says otherwise before it is dropped.
#[derive(Debug, Default)]
pub struct Session {
    state: Arc<State>,
    ordinal: u64,
}

/// Counts the answers of a [`Session`].
#[derive(Debug, Clone)]
pub struct Answers(Arc<State>);

#[derive(Debug, Default)]
struct State {
    phase: AtomicU8,
    /// Answers that were promised and are not written.
    owed: AtomicU64,
}

const OPEN: u8 = 0;
const ANSWERED: u8 = 1;
const LOST: u8 = 2;

impl Session {
    /// A connection that has just been opened.
    pub fn new() -> Self {
        Self::default()
    }

    /// The fingerprint of its next message.
    pub fn next(&mut self, digest: [u8; DIGEST_LEN], window: Duration) -> Fingerprint {
        self.ordinal += 1;
        Fingerprint {
            digest,
            window,
            session: Arc::clone(&self.state),
            ordinal: self.ordinal,
        }
    }

    /// The sender is promised one more answer.
    pub fn owe(&self) {
        self.state.owed.fetch_add(1, Ordering::Relaxed);
    }

    /// The half that answers.
    pub fn answers(&self) -> Answers {
        Answers(Arc::clone(&self.state))
    }

    /// The sender has closed in peace. If every answer had been written by then, it has them.
    pub fn end_answered(&self) {
        if self.state.owed.load(Ordering::Acquire) == 0 {
            self.state.phase.store(ANSWERED, Ordering::Release);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.state.phase.load(Ordering::Acquire) == OPEN {
            self.state.phase.store(LOST, Ordering::Release);
        }
    }
}

impl Answers {
    /// One of the promised answers was written.
    pub fn written(&self) {
        self.0.owed.fetch_sub(1, Ordering::Release);
    }
}

impl Fingerprint {
    /// Whether the connection has ended and its sender may have missed the answer.
    pub fn is_missed(&self) -> bool {
        self.session.phase.load(Ordering::Acquire) == LOST
    }

    /// Whether the sender has the answer for sure, and will not send the message again.
    pub fn is_answered(&self) -> bool {
        self.session.phase.load(Ordering::Acquire) == ANSWERED
    }

    /// Whether both stand for one and the same message, which came once.
    pub fn is_same_message(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.session, &other.session) && self.ordinal == other.ordinal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_mins(1);

    #[test]
    fn answers_are_missed_unless_all_were_written_before_the_sender_closed() {
        for (written, answered) in [(2, true), (1, false)] {
            let mut session = Session::new();
            let answers = session.answers();
            let first = session.next([1; DIGEST_LEN], WINDOW);
            let second = session.next([1; DIGEST_LEN], WINDOW);
            session.owe();
            session.owe();
            assert!(!first.is_same_message(&second) && first.is_same_message(&first.clone()));
            assert!(!first.is_missed() && !first.is_answered(), "it is open");
            (0..written).for_each(|_| answers.written());
            session.end_answered();
            drop(session);
            assert_eq!(first.is_answered(), answered);
            assert_eq!(second.is_missed(), !answered);
        }
    }

    #[test]
    fn a_session_that_just_ends_has_missed_its_answers() {
        let mut session = Session::new();
        let fingerprint = session.next([1; DIGEST_LEN], WINDOW);
        session.owe();
        session.answers().written();
        drop(session);
        assert!(fingerprint.is_missed() && !fingerprint.is_answered());
    }
}
