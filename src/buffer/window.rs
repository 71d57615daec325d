//! The duplicate window: messages that were stored, and may come again because their senders missed the answer.
//!
//! The frames in the segments are its memory on disk. What a segment knew that is removed goes into the file
//! `window` first.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::Path,
};

use sdk::event::{DIGEST_LEN, Fingerprint};

use super::{
    bytes_in::Input,
    files::Files,
    frame::window_secs,
    notes::{self, Notes},
};

/// Messages that are remembered at most; then the oldest ones are forgotten before their time.
const KNOWN_MAX: usize = 1 << 18;
const FILE_NAME: &str = "window";
const BODY_LEN: usize = DIGEST_LEN + 20;

type Digest = [u8; DIGEST_LEN];

/// The messages that a buffer would recognise.
#[derive(Debug, Default)]
pub(super) struct Window {
    known: HashMap<Digest, Vec<Known>>,
    /// When each is forgotten, in milliseconds since 1970; roughly in order.
    expiry: VecDeque<(u64, Digest)>,
    /// `None` in a memory buffer, and before the first note.
    file: Option<Notes<BODY_LEN>>,
    /// Whether it was said that there are more than [`KNOWN_MAX`].
    said_full: bool,
}

/// A message as a frame or the file tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) digest: Digest,
    /// Seconds that it is remembered.
    pub(super) window_secs: u32,
    /// Sequence of the frame in which it, or its last piece, is or was.
    pub(super) sequence: u64,
    pub(super) stored_ms: u64,
}

/// A message that was stored.
#[derive(Debug)]
struct Known {
    found: Found,
    /// First sequence of its segment; `None` once only the file knows it.
    segment: Option<u64>,
    expires_ms: u64,
    /// `None` when an earlier process stored it: its connections have ended.
    by: Option<Fingerprint>,
}

impl Window {
    /// What earlier processes stored: `frames` with the segments they are in, and what the file tells. Counted from
    /// the end of the last process, since no sender could reach it from then on.
    pub(super) fn recover(
        files: &Files,
        dir: &Path,
        buffer: u128,
        frames: Vec<(u64, Found)>,
        now_ms: u64,
    ) -> Self {
        let in_frames: HashSet<u64> = frames.iter().map(|(_, found)| found.sequence).collect();
        let noted = notes::read(files, &dir.join(FILE_NAME), buffer);
        let noted = noted
            .iter()
            .filter_map(Found::decode)
            .filter(|found| !in_frames.contains(&found.sequence))
            .map(|found| (None, found));
        let mut all: Vec<(Option<u64>, Found)> = noted.collect();
        all.extend(
            frames
                .into_iter()
                .map(|(segment, found)| (Some(segment), found)),
        );
        all.sort_by_key(|(_, found)| found.stored_ms);
        let ended_ms = all.last().map_or(0, |(_, found)| found.stored_ms);
        let mut window = Self::default();
        for (segment, found) in all {
            if found.expires_after(found.stored_ms) >= ended_ms {
                window.insert(found, segment, found.expires_after(now_ms), None);
            }
        }
        window
    }

    /// Whether this message is stored already and its sender missed the answer. It is then counted as answered over
    /// the new connection.
    pub(super) fn recognises(&mut self, fingerprint: &Fingerprint, now_ms: u64) -> bool {
        let Some(known) = self.known.get_mut(&fingerprint.digest) else {
            return false;
        };
        let Some(known) = known.iter_mut().find(|known| known.is(fingerprint, now_ms)) else {
            return false;
        };
        known.by = Some(fingerprint.clone());
        known.found.stored_ms = now_ms;
        known.expires_ms = known.found.expires_after(now_ms);
        self.expiry
            .push_back((known.expires_ms, fingerprint.digest));
        true
    }

    /// A message was stored in the frame `sequence` of `segment`.
    pub(super) fn remember(
        &mut self,
        fingerprint: Fingerprint,
        segment: u64,
        sequence: u64,
        now_ms: u64,
    ) {
        let found = Found {
            digest: fingerprint.digest,
            window_secs: window_secs(fingerprint.window),
            sequence,
            stored_ms: now_ms,
        };
        let expires_ms = found.expires_after(now_ms);
        self.insert(found, Some(segment), expires_ms, Some(fingerprint));
        self.forget(now_ms);
    }

    /// Notes in the file what only these segments tell, so that they may be removed.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn note(
        &mut self,
        files: &Files,
        dir: &Path,
        buffer: u128,
        leaving: &[u64],
        now_ms: u64,
    ) -> std::io::Result<()> {
        self.forget(now_ms);
        let mut fresh = Vec::new();
        for known in self.known.values_mut().flatten() {
            if known
                .segment
                .is_some_and(|segment| leaving.contains(&segment))
            {
                known.segment = None;
                if !known.by.as_ref().is_some_and(Fingerprint::is_answered) {
                    fresh.push(known.found);
                }
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let path = || dir.join(FILE_NAME);
        let file = self
            .file
            .get_or_insert_with(|| Notes::new(files, path(), buffer));
        let added = !file.is_long() && {
            let added = file.append(fresh.iter().map(Found::encode));
            added.and_then(|()| file.sync()).is_ok()
        };
        if added {
            return Ok(());
        }
        let all = self.known.values().flatten();
        let noted = all.filter(|known| known.segment.is_none());
        file.rewrite(noted.map(|known| known.found.encode()))
    }

    fn insert(
        &mut self,
        found: Found,
        segment: Option<u64>,
        expires_ms: u64,
        by: Option<Fingerprint>,
    ) {
        let known = self.known.entry(found.digest).or_default();
        known.retain(|known| !known.by.as_ref().is_some_and(Fingerprint::is_answered));
        known.push(Known {
            found,
            segment,
            expires_ms,
            by,
        });
        self.expiry.push_back((expires_ms, found.digest));
    }

    /// Forgets what is out of the window, and the oldest when there is too much.
    fn forget(&mut self, now_ms: u64) {
        while let Some((expires_ms, digest)) = self.expiry.front().copied() {
            let is_full = self.expiry.len() > KNOWN_MAX;
            if expires_ms > now_ms && !is_full {
                return;
            }
            if is_full && expires_ms > now_ms && !std::mem::replace(&mut self.said_full, true) {
                tracing::warn!(
                    messages = KNOWN_MAX,
                    "more messages came within duplicate_window than are remembered; the oldest are forgotten early"
                );
            }
            self.expiry.pop_front();
            let Some(known) = self.known.get_mut(&digest) else {
                continue;
            };
            known.retain(|known| known.expires_ms > expires_ms);
            if known.is_empty() {
                self.known.remove(&digest);
            }
        }
    }
}

impl Known {
    fn is(&self, fingerprint: &Fingerprint, now_ms: u64) -> bool {
        let may_be_missed = match &self.by {
            None => true,
            Some(by) if by.is_answered() || by.is_same_message(fingerprint) => false,
            // The other way round when the first one was stored late.
            Some(by) => by.is_missed() || fingerprint.is_missed(),
        };
        may_be_missed && self.expires_ms > now_ms
    }
}

impl Found {
    fn expires_after(&self, ms: u64) -> u64 {
        ms.saturating_add(u64::from(self.window_secs) * 1000)
    }

    fn encode(&self) -> [u8; BODY_LEN] {
        let mut out = [0; BODY_LEN];
        let bytes = self
            .digest
            .into_iter()
            .chain(self.sequence.to_le_bytes())
            .chain(self.stored_ms.to_le_bytes())
            .chain(self.window_secs.to_le_bytes());
        out.iter_mut()
            .zip(bytes)
            .for_each(|(slot, byte)| *slot = byte);
        out
    }

    fn decode(record: &[u8; BODY_LEN]) -> Option<Self> {
        let mut input = Input::new(record);
        Some(Self {
            digest: input.array()?,
            sequence: input.u64()?,
            stored_ms: input.u64()?,
            window_secs: input.u32()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sdk::event::Session;

    use super::*;

    fn print(session: &mut Session, number: u8) -> Fingerprint {
        session.next([number; DIGEST_LEN], Duration::from_millis(9_500))
    }

    #[test]
    fn is_over_after_its_seconds_and_begins_anew_when_a_message_comes_again() {
        let mut window = Window::default();
        let (mut lost, mut other) = (Session::new(), Session::new());
        for number in [1, 2] {
            window.remember(print(&mut lost, number), 1, 1, 1_000);
        }
        drop(lost);
        assert!(window.recognises(&print(&mut other, 1), 10_999));
        assert!(!window.recognises(&print(&mut other, 2), 11_000));
        drop(other);
        assert!(window.recognises(&print(&mut Session::new(), 1), 20_998));
        window.forget(40_000);
        assert!(window.known.is_empty() && window.expiry.is_empty());
    }

    #[test]
    fn time_without_a_process_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let found = |number, stored_ms| Found {
            digest: [number; DIGEST_LEN],
            window_secs: 10,
            sequence: u64::from(number),
            stored_ms,
        };
        let frames = vec![
            (1, found(1, 1_000)),
            (1, found(2, 5_000)),
            (1, found(3, 11_001)),
        ];
        let mut window = Window::recover(&Files::system(), dir.path(), 7, frames, 500_000);
        let mut session = Session::new();
        assert!(!window.recognises(&print(&mut session, 1), 500_001));
        assert!(window.recognises(&print(&mut session, 2), 509_999));
        assert!(!window.recognises(&print(&mut session, 3), 510_000));
    }

    #[test]
    fn what_a_segment_and_the_file_both_tell_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut window = Window::default();
        window.remember(print(&mut Session::new(), 1), 1, 5, 1_000);
        window.remember(print(&mut Session::new(), 2), 9, 12, 1_000);
        window
            .note(&Files::system(), dir.path(), 7, &[1], 1_000)
            .unwrap();
        let frames = vec![(
            1,
            Found {
                digest: [1; DIGEST_LEN],
                window_secs: 10,
                sequence: 5,
                stored_ms: 1_000,
            },
        )];
        for frames in [frames, Vec::new()] {
            let mut window = Window::recover(&Files::system(), dir.path(), 7, frames, 2_000);
            let mut session = Session::new();
            assert!(window.recognises(&print(&mut session, 1), 2_000));
            assert!(!window.recognises(&print(&mut session, 1), 2_000));
            assert!(!window.recognises(&print(&mut session, 2), 2_000));
        }
        assert!(
            Window::recover(&Files::system(), dir.path(), 8, Vec::new(), 2_000)
                .known
                .is_empty()
        );
    }

    #[test]
    fn the_oldest_are_forgotten_when_there_are_too_many() {
        let mut window = Window::default();
        let mut lost = Session::new();
        for number in 0..=KNOWN_MAX as u64 {
            let mut digest = [0; DIGEST_LEN];
            digest[..8].copy_from_slice(&number.to_le_bytes());
            window.remember(
                lost.next(digest, Duration::from_mins(10)),
                1,
                number,
                number,
            );
        }
        assert_eq!(window.known.len(), KNOWN_MAX);
        assert!(!window.known.contains_key(&[0; DIGEST_LEN]));
    }
}
