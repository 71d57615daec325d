//! The phi accrual failure detector: how suspicious is the silence of a server?
//!
//! Formula and constants are Fluentd's (`FailureDetector`): phi = t / (mean * ln 10), where the mean of the gaps between
//! heartbeats weighs recent ones more, and both are moved so that an interval counts as one second.

use std::{collections::VecDeque, f64::consts::LN_10, time::Duration};

use tokio::time::Instant;

/// Gaps that are remembered.
const SAMPLES_MAX: usize = 1_000;

/// What was heard of one server.
#[derive(Debug, Clone)]
pub(crate) struct Detector {
    interval: Duration,
    /// Gaps in seconds, the latest last.
    gaps: VecDeque<f64>,
    /// When something was heard last.
    last: Instant,
    /// When the latest gap ended.
    sampled: Instant,
}

impl Detector {
    /// As if it had been heard now.
    pub(crate) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval,
            gaps: VecDeque::from([interval.as_secs_f64()]),
            last: now,
            sampled: now,
        }
    }

    /// It was heard. Signs within one interval make one sample: a busy second does not make a quiet one suspicious.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.last = now;
        let gap = now.saturating_duration_since(self.sampled);
        if self.gaps.is_empty() {
            self.gaps.push_back(self.interval.as_secs_f64());
        } else if gap >= self.interval / 2 {
            self.gaps.push_back(gap.max(self.interval).as_secs_f64());
            if self.gaps.len() > SAMPLES_MAX {
                self.gaps.pop_front();
            }
        } else {
            return;
        }
        self.sampled = now;
    }

    /// For how long nothing was heard.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last)
    }

    /// Gaps since it was forgotten.
    pub(crate) fn samples(&self) -> usize {
        self.gaps.len()
    }

    /// Forgets what was heard.
    pub(crate) fn forget(&mut self) {
        self.gaps.clear();
    }

    /// The suspicion that it is gone.
    pub(crate) fn phi(&self, now: Instant) -> f64 {
        let (mut sum, mut weights, mut weight) = (0.0, 0.0, 0.0);
        for gap in &self.gaps {
            weight += 1.0;
            sum += gap * weight;
            weights += weight;
        }
        if self.gaps.is_empty() {
            return 0.0;
        }
        let interval = self.interval.as_secs_f64();
        let mean = sum / weights - interval + 1.0;
        let silence = self.silence(now).as_secs_f64() - interval + 1.0;
        silence / (mean * LN_10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn after(gaps: &[f64]) -> (Detector, Instant) {
        let mut now = Instant::now();
        let mut detector = Detector::new(SECOND, now);
        for gap in gaps {
            now += Duration::from_secs_f64(*gap);
            detector.heard(now);
        }
        (detector, now)
    }

    #[track_caller]
    fn is_near(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} is not {right}");
    }

    #[test]
    fn suspicion_grows_with_silence() {
        // With gaps of exactly one second the mean is 1, so phi = silence / ln 10, in seconds.
        let (detector, now) = after(&[1.0; 20]);
        for secs in [1.0_f64, 10.0, 36.0, 37.0] {
            is_near(
                detector.phi(now + Duration::from_secs_f64(secs)),
                secs / LN_10,
            );
        }
        // The default threshold of 16 is passed after 36.8 s.
        assert!(detector.phi(now + 36 * SECOND) < 16.0 && detector.phi(now + 37 * SECOND) > 16.0);
    }

    #[test]
    fn recent_gaps_weigh_more() {
        // Weights 1, 2, 3 for the first sample of 1 s, then 2 s, then 4 s: (1 + 4 + 12) / 6 - 1 + 1.
        let (detector, now) = after(&[2.0, 4.0]);
        is_near(detector.phi(now + 5 * SECOND), 5.0 / (17.0 / 6.0 * LN_10));
    }

    #[test]
    fn a_busy_second_is_one_sample() {
        let (mut detector, mut now) = after(&[]);
        for _ in 0..1_000 {
            now += Duration::from_millis(1);
            detector.heard(now);
        }
        assert!(detector.samples() <= 3, "{}", detector.samples());
        assert!(detector.phi(now + 2 * SECOND) < 1.0);
        assert_eq!(detector.silence(now + SECOND), SECOND);
    }

    #[test]
    fn what_is_forgotten_is_not_suspicious() {
        let (mut detector, now) = after(&[1.0; 5]);
        detector.forget();
        assert_eq!(
            (detector.samples(), detector.phi(now + 100 * SECOND)),
            (0, 0.0)
        );
    }
}
