//! How large requests are: as large as the server takes, and smaller while one of that size is not answered in time.

use std::sync::atomic::{AtomicUsize, Ordering};

/// After a request that was too large, later ones are smaller by one part in so many.
const CEILING_BELOW: usize = 10;
/// A request that is not larger than this, in bytes, is late for another reason than its size.
const LATE_MIN: usize = 64 << 10;
/// After a large request that was answered in time, later ones are larger by one part in so many.
const GROWTH: usize = 8;

/// The size of requests, in bytes.
#[derive(Debug)]
pub(crate) struct Sizes {
    /// What the configuration and the server allow. It only goes down.
    max: AtomicUsize,
    /// What is answered in time.
    timely: AtomicUsize,
}

impl Sizes {
    /// As large as configured.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max: AtomicUsize::new(max),
            timely: AtomicUsize::new(max),
        }
    }

    /// The largest that the server takes, as far as it is known.
    pub(crate) fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    /// The largest that is put together now.
    pub(crate) fn now(&self) -> usize {
        self.timely.load(Ordering::Relaxed).min(self.max())
    }

    /// A request of this size is too large: later ones are smaller, to leave room for what stands around them.
    pub(crate) fn too_large(&self, len: usize) {
        let ceiling = len - len.div_ceil(CEILING_BELOW);
        self.max.fetch_min(ceiling, Ordering::Relaxed);
    }

    /// A request of this size was not answered in time: later ones are half of it. Several that are late together count once.
    pub(crate) fn late(&self, len: usize) {
        self.timely
            .fetch_min((len / 2).max(LATE_MIN), Ordering::Relaxed);
    }

    /// A request of this size was answered in time.
    pub(crate) fn timely(&self, len: usize) {
        let now = self.timely.load(Ordering::Relaxed);
        if len >= now / 2 {
            let larger = (now + now / GROWTH).min(self.max()).max(now);
            // When another request was late meanwhile, that is the news.
            let _news =
                self.timely
                    .compare_exchange(now, larger, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn what_is_late_is_halved_and_grows_again() {
        let sizes = Sizes::new(8 * MIB);
        for _ in 0..3 {
            sizes.late(8 * MIB);
        }
        assert_eq!(sizes.now(), 4 * MIB);
        sizes.timely(MIB);
        assert_eq!(sizes.now(), 4 * MIB, "a small one says nothing");
        sizes.timely(4 * MIB);
        assert_eq!(sizes.now(), 4 * MIB + MIB / 2);
        for _ in 0..20 {
            sizes.timely(sizes.now());
        }
        assert_eq!((sizes.now(), sizes.max()), (8 * MIB, 8 * MIB));
    }

    #[test]
    fn it_does_not_become_smaller_without_end() {
        let sizes = Sizes::new(8 * MIB);
        for _ in 0..20 {
            sizes.late(sizes.now());
        }
        assert_eq!(sizes.now(), LATE_MIN);
        let small = Sizes::new(1_000);
        small.late(1_000);
        assert_eq!(small.now(), 1_000);
    }

    #[test]
    fn what_was_too_large_is_never_tried_again() {
        let sizes = Sizes::new(8 * MIB);
        sizes.too_large(4_000_000);
        for _ in 0..20 {
            sizes.timely(sizes.now());
        }
        assert_eq!((sizes.now(), sizes.max()), (3_600_000, 3_600_000));
    }
}
