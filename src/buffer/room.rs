//! Room: how many bytes a buffer may still take. Whoever asks first is served first.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{error::Refusal, frame, settings::Overflow};

/// Kept free of the limit for what is not a frame, in bytes: headers of segments, end frames.
pub(super) const SPARE_BYTES: u64 = 256;

type Answer = Result<Reservation, Refusal>;

/// The room of one buffer. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: u64,
    overflow: Overflow,
    /// Bytes stored.
    stored: u64,
    /// Bytes promised and not yet stored.
    reserved: u64,
    /// The volume has no room.
    disk_full: bool,
    /// As long as the volume has less free than must stay so, no more is taken than there was when that began.
    cap: Option<u64>,
    /// Set when somebody did not get room, until as much is free, and a fifth of the limit: readiness must not flap.
    full: bool,
    /// What was asked for when it was set, in bytes.
    wanted: u64,
    /// Nobody gets room any more.
    closed: Option<Refusal>,
    /// Nobody gets room as long as the disk fails.
    failure: Option<Refusal>,
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
        let state = State {
            limit,
            overflow,
            stored: 0,
            reserved: 0,
            disk_full: false,
            cap: None,
            full: false,
            wanted: 0,
            closed: None,
            failure: None,
            waiting: VecDeque::new(),
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
        }))
    }

    /// From now on there is so much, and this happens when it is not enough. Who waits goes on waiting, if need be.
    pub(super) fn set_limit(&self, limit: u64, overflow: Overflow) {
        let mut hopeless = VecDeque::new();
        self.change(|state| {
            (state.limit, state.overflow) = (limit, overflow);
            let most = state.most();
            let (stay, go) = std::mem::take(&mut state.waiting)
                .into_iter()
                .partition(|(bytes, _)| *bytes <= most);
            (state.waiting, hopeless) = (stay, go);
        });
        for (bytes, answer) in hopeless {
            let limit = limit.saturating_sub(SPARE_BYTES);
            // Whoever does not wait any more needs no answer.
            drop(answer.send(Err(Refusal::TooLarge { bytes, limit })));
        }
        if overflow == Overflow::ThrowException {
            self.refuse_waiting(&Refusal::Full);
        }
    }

    /// Asks for room for a batch of this many bytes of events.
    pub(super) fn request(&self, events_len: usize) -> Request {
        let bytes = events_len as u64 + frame::OVERHEAD as u64;
        let mut state = self.lock();
        let most = state.most();
        if let Some(refusal) = state.closed.as_ref().or(state.failure.as_ref()) {
            return Request::Now(Err(refusal.clone()));
        }
        if bytes > most {
            return Request::Now(Err(Refusal::TooLarge { bytes, limit: most }));
        }
        if state.waiting.is_empty() && state.fits(bytes) {
            state.reserved += bytes;
            return Request::Now(Ok(Reservation {
                room: self.clone(),
                bytes,
            }));
        }
        match state.overflow {
            Overflow::ThrowException => {
                (state.full, state.wanted) = (true, bytes);
                return Request::Now(Err(Refusal::Full));
            }
            Overflow::Block => (state.full, state.wanted) = (true, bytes),
            // It is full when nothing can be dropped; whoever drops says so.
            Overflow::DropOldestChunk => {}
        }
        let (answer, later) = oneshot::channel();
        state.waiting.push_back((bytes, answer));
        Request::Later(later)
    }

    /// Counts bytes that lie in the buffer, without having been reserved.
    pub(super) fn occupy(&self, bytes: u64) {
        self.lock().stored += bytes;
    }

    /// Bytes are no longer stored.
    pub(super) fn free(&self, bytes: u64) {
        self.change(|state| state.stored = state.stored.saturating_sub(bytes));
    }

    /// So many bytes are stored. Returns how many were counted.
    pub(super) fn correct(&self, stored: u64) -> u64 {
        let mut counted = stored;
        self.change(|state| counted = std::mem::replace(&mut state.stored, stored));
        counted
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

    /// The volume has less free than must stay so (`true`), or enough again.
    pub(super) fn set_tight(&self, is_tight: bool) {
        if self.lock().cap.is_some() != is_tight {
            self.change(|state| state.cap = is_tight.then(|| state.stored + state.reserved));
        }
    }

    /// From now on everybody is refused, those who wait too.
    pub(super) fn close(&self, refusal: &Refusal) {
        self.lock().closed.get_or_insert_with(|| refusal.clone());
        self.refuse_waiting(refusal);
    }

    /// The disk fails, for this reason, so that everybody is refused; or it does no longer.
    pub(super) fn set_failure(&self, reason: Option<&str>) {
        let refusal = reason.map(|reason| Refusal::Failed {
            reason: reason.to_owned(),
        });
        self.lock().failure.clone_from(&refusal);
        if let Some(refusal) = refusal {
            self.refuse_waiting(&refusal);
        }
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

    /// Whether somebody waits for whom there is no room, though the volume has some.
    pub(super) fn is_short(&self) -> bool {
        let state = self.lock();
        let front = state.waiting.front();
        !state.disk_full && front.is_some_and(|(bytes, _)| !state.fits(*bytes))
    }

    /// Nothing gives room now to those who wait.
    pub(super) fn set_full(&self) {
        let mut state = self.lock();
        if let Some((bytes, _)) = state.waiting.front() {
            (state.full, state.wanted) = (true, *bytes);
        }
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
            if !answer.is_closed() && !state.fits(*bytes) {
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
        let is_high = state.stored + state.reserved > state.limit - state.limit / 5;
        state.full &= is_high || !state.waiting.is_empty() || !state.fits(state.wanted);
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

impl State {
    /// The largest batch that the empty buffer takes, with its frame.
    fn most(&self) -> u64 {
        self.limit
            .saturating_sub(SPARE_BYTES)
            .min(frame::EVENTS_MAX)
    }

    fn fits(&self, bytes: u64) -> bool {
        !self.disk_full
            && self.stored + self.reserved + bytes
                <= (self.limit.saturating_sub(SPARE_BYTES)).min(self.cap.unwrap_or(u64::MAX))
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

/// Gives the next in line a chance when a request for room is given up.
pub(super) struct InLine<'a>(pub(super) &'a Room);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.serve();
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
    fn is_full_to_the_byte() {
        for limit in [2_000, (1 << 31) - 1, 1 << 31, 1 << 32, 1 << 40] {
            let room = Room::new(limit, Overflow::Block);
            let overhead = frame::OVERHEAD as u64;
            room.occupy(limit - SPARE_BYTES - 2 * (overhead + 1));
            let first = now(room.request(1)).unwrap();
            let _last = now(room.request(1)).unwrap();
            assert_eq!(room.used(), limit - SPARE_BYTES);
            let mut next = later(room.request(0));
            drop(first);
            assert!(next.try_recv().unwrap().is_ok(), "a limit of {limit}");
        }
    }

    #[test]
    fn a_volume_that_is_tight_lets_nothing_grow() {
        let room = Room::new(1 << 20, Overflow::Block);
        let first = now(room.request(800)).unwrap();
        room.set_tight(true);
        let mut second = later(room.request(500));
        drop(first);
        let _second = second.try_recv().unwrap().expect("as much as there was");
        let mut third = later(room.request(500));
        room.set_tight(false);
        assert!(third.try_recv().unwrap().is_ok());
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
    fn a_new_limit_serves_those_who_wait_and_answers_those_who_never_fit() {
        let room = Room::new(1_000 + SPARE_BYTES, Overflow::Block);
        let reservation = now(room.request(800)).unwrap();
        let mut small = later(room.request(300));
        let mut large = later(room.request(600));
        room.set_limit(500 + SPARE_BYTES, Overflow::Block);
        let limit = 500;
        let refusal = Refusal::TooLarge { bytes: 728, limit };
        assert_eq!(large.try_recv().unwrap().unwrap_err(), refusal);
        assert!(
            small.try_recv().is_err(),
            "there is more stored than the limit"
        );
        room.set_limit(4_000 + SPARE_BYTES, Overflow::Block);
        let small = small.try_recv().unwrap().unwrap();
        assert!(!room.is_full());
        let mut more = later(room.request(3_000));
        room.set_limit(4_000 + SPARE_BYTES, Overflow::ThrowException);
        assert_eq!(more.try_recv().unwrap().unwrap_err(), Refusal::Full);
        drop((reservation, small));
        assert_eq!(room.used(), 0);
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
