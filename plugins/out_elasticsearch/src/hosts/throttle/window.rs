//! How much may be under way to a host at a time: more while it keeps up, less as soon as it does not. Without clock and
//! without waiting.
//!
//! Additive increase, multiplicative decrease: a request more after each full window that went well; half of it when a
//! request was refused or not answered in time; less when single records were refused, or when a megabyte takes much
//! longer than before.

use std::time::Duration;

/// Requests that may be under way at first.
const FIRST: usize = 2;
/// What remains after a request was refused.
const AFTER_REFUSAL: f64 = 0.5;
/// What remains after records were refused.
const AFTER_REJECTION: f64 = 0.8;
/// What remains after answers became slow.
const AFTER_DELAY: f64 = 0.9;
/// Part of the records of a window that may be refused.
const REJECTED_MAX: f64 = 0.01;
/// How much the newest answer counts in the mean.
const ALPHA: f64 = 0.4;
/// Deviations from the mean that are too many.
const DEVIATIONS_MAX: f64 = 2.5;
/// Below this size, in bytes, an answer takes as long as for this size.
const LEAST: f64 = 1_048_576.0;

/// An answered request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Its size.
    pub(crate) len: usize,
    pub(crate) took: Duration,
    pub(crate) records: usize,
    /// Records that the server had no room for.
    pub(crate) rejected: usize,
}

/// What may be under way, in bytes.
#[derive(Debug)]
pub(crate) struct Window {
    /// Size of a full request.
    unit: f64,
    limit: f64,
    limit_max: f64,
    /// Since the limit last changed.
    seen: Seen,
    /// Seconds that a megabyte takes: mean and variance.
    mean: Option<f64>,
    variance: f64,
}

#[derive(Debug, Default)]
struct Seen {
    bytes: f64,
    records: f64,
    rejected: f64,
    /// Whether something had to wait for the limit.
    was_short: bool,
    slow: u32,
    answers: u32,
}

impl Window {
    /// For requests of up to `unit` bytes, of which `requests_max` may be under way.
    #[expect(clippy::cast_precision_loss, reason = "sizes of requests")]
    pub(crate) fn new(unit: usize, requests_max: usize) -> Self {
        let unit = unit.max(1) as f64;
        Self {
            unit,
            limit: unit * requests_max.min(FIRST) as f64,
            limit_max: unit * requests_max as f64,
            seen: Seen::default(),
            mean: None,
            variance: 0.0,
        }
    }

    /// What may be under way, in bytes.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of bytes"
    )]
    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Whether a request may be sent beside what is under way. One always may.
    pub(crate) fn admits(&mut self, under_way: usize, len: usize) -> bool {
        let admits = under_way == 0 || under_way + len <= self.limit();
        self.seen.was_short |= !admits;
        admits
    }

    /// A request was answered.
    #[expect(clippy::cast_precision_loss, reason = "sizes of requests")]
    pub(crate) fn answered(&mut self, sample: Sample) {
        let is_slow = self.is_slow(sample);
        self.seen.bytes += sample.len as f64;
        self.seen.records += sample.records as f64;
        self.seen.rejected += sample.rejected as f64;
        self.seen.slow += u32::from(is_slow);
        self.seen.answers += 1;
        if self.seen.rejected > self.seen.records * REJECTED_MAX {
            self.shrink(AFTER_REJECTION);
        } else if self.seen.bytes >= self.limit {
            if self.seen.slow * 2 > self.seen.answers {
                self.shrink(AFTER_DELAY);
            } else if self.seen.was_short {
                self.limit = (self.limit + self.unit).min(self.limit_max);
            }
            self.seen = Seen::default();
        }
    }

    /// A request was refused because there is too much of it, or not answered in time.
    pub(crate) fn refused(&mut self) {
        self.shrink(AFTER_REFUSAL);
    }

    fn shrink(&mut self, to: f64) {
        // A request alone is always sent, so there is nothing below it.
        self.limit = (self.limit * to).max(self.unit.min(self.limit_max));
        self.seen = Seen::default();
    }

    /// Whether a megabyte takes much longer than it did.
    #[expect(clippy::cast_precision_loss, reason = "sizes of requests")]
    fn is_slow(&mut self, sample: Sample) -> bool {
        let pace = sample.took.as_secs_f64() / (sample.len as f64).max(LEAST);
        let Some(mean) = self.mean else {
            self.mean = Some(pace);
            return false;
        };
        let off = pace - mean;
        let is_slow = off > DEVIATIONS_MAX * self.variance.sqrt().max(mean / 2.0);
        self.mean = Some(mean + ALPHA * off);
        self.variance = (1.0 - ALPHA) * (self.variance + ALPHA * off * off);
        is_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn sample(rejected: usize) -> Sample {
        slow_sample(rejected, 100)
    }

    fn slow_sample(rejected: usize, took_ms: u64) -> Sample {
        Sample {
            len: MIB,
            took: Duration::from_millis(took_ms),
            records: 1_000,
            rejected,
        }
    }

    /// Full windows that go well.
    fn well(window: &mut Window, windows: usize) {
        for _ in 0..windows {
            let before = window.limit();
            assert!(!window.admits(before, MIB), "there is always more to send");
            for _ in 0..before.div_ceil(MIB) {
                window.answered(sample(0));
            }
        }
    }

    #[test]
    fn it_grows_by_a_request_a_window_up_to_what_is_allowed() {
        let mut window = Window::new(MIB, 5);
        assert_eq!(window.limit(), 2 * MIB);
        well(&mut window, 1);
        assert_eq!(window.limit(), 3 * MIB);
        well(&mut window, 10);
        assert_eq!(window.limit(), 5 * MIB);
        assert_eq!(Window::new(MIB, 1).limit(), MIB);
    }

    #[test]
    fn it_does_not_grow_where_there_is_nothing_to_send() {
        let mut window = Window::new(MIB, 5);
        for _ in 0..100 {
            assert!(window.admits(0, MIB));
            window.answered(sample(0));
        }
        assert_eq!(window.limit(), 2 * MIB);
    }

    #[test]
    fn refusals_halve_it_and_one_request_always_may() {
        let mut window = Window::new(MIB, 8);
        well(&mut window, 6);
        assert_eq!(window.limit(), 8 * MIB);
        window.refused();
        assert_eq!(window.limit(), 4 * MIB);
        for _ in 0..10 {
            window.refused();
        }
        assert_eq!(window.limit(), MIB);
        assert!(window.admits(0, 100 * MIB) && !window.admits(1, MIB));
    }

    #[test]
    fn more_than_a_hundredth_of_the_records_refused_is_too_much() {
        let mut window = Window::new(MIB, 8);
        window.answered(sample(10));
        assert_eq!(window.limit(), 2 * MIB);
        window.answered(sample(11));
        assert_eq!(window.limit(), MIB * 16 / 10);
    }

    #[test]
    fn slow_answers_make_it_smaller_and_large_ones_are_not_slow() {
        let mut window = Window::new(MIB, 8);
        well(&mut window, 6);
        for _ in 0..8 {
            window.answered(slow_sample(0, 100));
        }
        let large = Sample {
            len: 10 * MIB,
            took: Duration::from_secs(1),
            ..sample(0)
        };
        window.answered(large);
        assert_eq!(window.limit(), 8 * MIB);
        for took_ms in [
            500, 2_000, 8_000, 30_000, 100_000, 300_000, 900_000, 3_000_000,
        ] {
            window.answered(slow_sample(0, took_ms));
        }
        assert!(window.limit() < 8 * MIB, "{}", window.limit());
    }
}
