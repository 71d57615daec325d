//! Room: how many bytes a buffer may still take. Whoever asks first is served first.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{error::Refusal, frame, settings::Overflow};

/// Kept free of the limit for what is not a frame, in bytes: headers of segments, end frames.
const SPARE_BYTES: u64 = 256;

type Answer = Result<Reservation, Refusal>;

/// The room of one buffer. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: u64,
    overflow: Overflow,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes stored.
    stored: u64,
    /// Bytes promised and not yet stored.
    reserved: u64,
    /// The volume has no room.
    disk_full: bool,
    /// Set when somebody did not get room, until as much is free, and a fifth of the limit: readiness must not flap.
    full: bool,
    /// What was asked for when it was set, in bytes.
    wanted: u64,
    /// Nobody gets room any more.
    refusal: Option<Refusal>,
    waiting: VecDeque<(u64, oneshot::Sender<Answer>)>,
}

/// Room for one batch. Dropping it gives the room back.
#[derive(Debug)]
pub struct Reservation {
    room: Room,
    bytes: u64,
}

/// The answer to a request for room.
#[derive(Debug)]
pub(super) enum Request {
    /// At once.
    Now(Answer),
    /// Later.
    Later(oneshot::Receiver<Answer>),
}

impl Room {
    /// All of `limit` bytes.
    pub(super) fn new(limit: u64, overflow: Overflow) -> Self {
        Self(Arc::new(Shared {
            limit,
            overflow,
            state: Mutex::default(),
        }))
    }

    /// Asks for room for a batch of this many bytes of events.
    pub(super) fn request(&self, events_len: usize) -> Request {
        let bytes = events_len as u64 + frame::OVERHEAD as u64;
        let most = self
            .0
            .limit
            .saturating_sub(SPARE_BYTES)
            .min(frame::EVENTS_MAX);
        let mut state = self.lock();
        if let Some(refusal) = &state.refusal {
            return Request::Now(Err(refusal.clone()));
        }
        if bytes > most {
            return Request::Now(Err(Refusal::TooLarge { bytes, limit: most }));
        }
        if state.waiting.is_empty() && self.fits(&state, bytes) {
            state.reserved += bytes;
            return Request::Now(Ok(Reservation {
                room: self.clone(),
                bytes,
            }));
        }
        (state.full, state.wanted) = (true, bytes);
        if self.0.overflow == Overflow::ThrowException {
            return Request::Now(Err(Refusal::Full));
        }
        let (answer, later) = oneshot::channel();
        state.waiting.push_back((bytes, answer));
        Request::Later(later)
    }

    fn fits(&self, state: &State, bytes: u64) -> bool {
        !state.disk_full
            && state.stored + state.reserved + bytes <= self.0.limit.saturating_sub(SPARE_BYTES)
    }

    /// Counts bytes that lie in the buffer, without having been reserved.
    pub(super) fn occupy(&self, bytes: u64) {
        self.lock().stored += bytes;
    }

    /// Bytes are no longer stored.
    pub(super) fn free(&self, bytes: u64) {
        self.change(|state| state.stored = state.stored.saturating_sub(bytes));
    }

    /// What was reserved is now stored, and turned out to be this long.
    pub(super) fn store(&self, reserved: u64, stored: u64) {
        self.change(|state| {
            state.reserved = state.reserved.saturating_sub(reserved);
            state.stored += stored;
        });
    }

    /// The volume has no room (`true`), or has it again.
    pub(super) fn set_disk_full(&self, disk_full: bool) {
        self.change(|state| {
            state.disk_full = disk_full;
            state.full |= disk_full;
        });
    }

    /// From now on everybody is refused, those who wait too.
    pub(super) fn close(&self, refusal: &Refusal) {
        self.lock().refusal.get_or_insert_with(|| refusal.clone());
        self.refuse_waiting(refusal);
    }

    /// Refuses those who wait now.
    pub(super) fn refuse_waiting(&self, refusal: &Refusal) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        for (_, answer) in waiting {
            // Whoever does not wait any more needs no answer.
            drop(answer.send(Err(refusal.clone())));
        }
    }

    /// Serves those who wait; for when one of them went away.
    pub(super) fn serve(&self) {
        self.change(|_| {});
    }

    /// Whether somebody did not get room and would, were there more.
    pub(super) fn is_wanted(&self) -> bool {
        let state = self.lock();
        state.full || !state.waiting.is_empty()
    }

    /// Whether somebody waits, and nothing that was promised is still to come.
    pub(super) fn is_stuck(&self) -> bool {
        let state = self.lock();
        state.reserved == 0 && !state.waiting.is_empty()
    }

    /// Whether nothing is taken now, or was not a moment ago.
    pub(super) fn is_full(&self) -> bool {
        let state = self.lock();
        state.full || state.disk_full
    }

    /// Bytes stored and promised.
    pub(super) fn used(&self) -> u64 {
        let state = self.lock();
        state.stored + state.reserved
    }

    /// Changes the account, then serves those who wait, in order, as far as the room goes.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let mut served = Vec::new();
        while let Some((bytes, answer)) = state.waiting.front() {
            if !answer.is_closed() && !self.fits(&state, *bytes) {
                break;
            }
            let Some((bytes, answer)) = state.waiting.pop_front() else {
                break;
            };
            if !answer.is_closed() {
                state.reserved += bytes;
                served.push((
                    answer,
                    Reservation {
                        room: self.clone(),
                        bytes,
                    },
                ));
            }
        }
        let is_high = state.stored + state.reserved > self.0.limit - self.0.limit / 5;
        state.full &= is_high || !state.waiting.is_empty() || !self.fits(&state, state.wanted);
        drop(state);
        for (answer, reservation) in served {
            // An answer that nobody waits for comes back; dropping it gives the room to the next.
            drop(answer.send(Ok(reservation)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// The bytes, which the caller now has to account for.
    pub(super) fn into_bytes(mut self) -> u64 {
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.room.store(self.bytes, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(request: Request) -> oneshot::Receiver<Answer> {
        match request {
            Request::Later(later) => later,
            Request::Now(answer) => panic!("answered at once: {answer:?}"),
        }
    }

    fn now(request: Request) -> Answer {
        match request {
            Request::Now(answer) => answer,
            Request::Later(_) => panic!("has to wait"),
        }
    }

    #[test]
    fn serves_in_order_and_skips_who_went_away() {
        let room = Room::new(1_000 + SPARE_BYTES, Overflow::Block);
        let first = now(room.request(800)).unwrap();
        let mut second = later(room.request(700));
        let third = later(room.request(10));
        let mut fourth = later(room.request(10));
        assert!(room.is_full() && !room.is_stuck());
        drop(third);
        drop(first);
        let second = second.try_recv().unwrap().unwrap();
        assert!(
            fourth.try_recv().unwrap().is_ok(),
            "small enough to stand beside the second"
        );
        drop(second);
        assert_eq!((room.used(), room.is_full()), (0, false));
    }

    #[test]
    fn refuses_what_can_never_fit_and_what_throws() {
        let room = Room::new(1_000 + SPARE_BYTES, Overflow::ThrowException);
        let limit = 1_000;
        assert_eq!(
            now(room.request(900)).unwrap_err(),
            Refusal::TooLarge {
                bytes: 1_028,
                limit
            }
        );
        let reservation = now(room.request(800)).unwrap();
        assert_eq!(now(room.request(800)).unwrap_err(), Refusal::Full);
        assert!(room.is_full());
        drop(reservation);
        assert!(now(room.request(800)).is_ok());
    }

    #[test]
    fn a_full_disk_is_a_full_buffer() {
        let room = Room::new(1_000_000, Overflow::Block);
        room.set_disk_full(true);
        let mut waiting = later(room.request(1));
        assert!(room.is_full() && waiting.try_recv().is_err());
        room.set_disk_full(false);
        assert!(waiting.try_recv().unwrap().is_ok());
        assert!(!room.is_full());
    }

    #[test]
    fn closing_answers_everybody() {
        let room = Room::new(1_000, Overflow::Block);
        let reservation = now(room.request(500)).unwrap();
        let mut waiting = later(room.request(500));
        room.close(&Refusal::Closed);
        assert_eq!(waiting.try_recv().unwrap().unwrap_err(), Refusal::Closed);
        assert_eq!(now(room.request(1)).unwrap_err(), Refusal::Closed);
        drop(reservation);
        assert_eq!(room.used(), 0);
    }
}
