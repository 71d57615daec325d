//! Whether a server takes part: left out at once when something goes wrong, back when it has proven itself.

use std::time::Duration;

use tokio::time::Instant;

use crate::detector::Detector;

/// The longest time that a server is left out for acknowledgements that did not come.
const LEFT_OUT_MAX: Duration = Duration::from_mins(5);

/// The parameters, the same for all servers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rules {
    /// Whether there are heartbeats at all.
    pub(crate) beats: bool,
    pub(crate) interval: Duration,
    pub(crate) hard_timeout: Duration,
    pub(crate) recover_wait: Duration,
    /// `phi_threshold`, unless the detector is turned off.
    pub(crate) phi_threshold: Option<f64>,
}

/// The state of one server.
#[derive(Debug)]
pub(crate) struct Health {
    rules: Rules,
    detector: Detector,
    is_up: bool,
    /// How often acknowledgements did not come, since the last that did.
    unanswered: u32,
    /// Not before this; only set while it is left out.
    out_until: Option<Instant>,
    failed_at: Option<Instant>,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It takes part again.
    Up,
    /// It is left out.
    Down,
}

impl Health {
    /// A server of which nothing is known takes part.
    pub(crate) fn new(rules: Rules, now: Instant) -> Self {
        Self {
            detector: Detector::new(rules.interval, now),
            rules,
            is_up: true,
            unanswered: 0,
            out_until: None,
            failed_at: None,
        }
    }

    /// Whether it takes part.
    pub(crate) fn is_available(&self, now: Instant) -> bool {
        self.is_up || (!self.rules.beats && self.is_served(now))
    }

    /// When it failed last.
    pub(crate) fn failed_at(&self) -> Option<Instant> {
        self.failed_at
    }

    /// Whether a heartbeat would tell anything new.
    pub(crate) fn wants_beat(&self, now: Instant) -> bool {
        !self.is_up || self.detector.silence(now) >= self.rules.interval
    }

    /// It answered a heartbeat.
    pub(crate) fn beat(&mut self, now: Instant) -> Option<Change> {
        self.detector.heard(now);
        let is_proven = self.detector.samples() > self.samples_to_recover();
        (!self.is_up && is_proven && self.is_served(now)).then(|| self.rise())
    }

    /// It took records, which proves more than any heartbeat.
    pub(crate) fn delivered(&mut self, now: Instant) -> Option<Change> {
        self.detector.heard(now);
        self.unanswered = 0;
        (!self.is_up).then(|| self.rise())
    }

    /// It could not be reached, went away, or sent nonsense.
    pub(crate) fn failed(&mut self, now: Instant) -> Option<Change> {
        self.stay_out(now + self.rules.recover_wait);
        self.fall(now)
    }

    /// It took records, from `begun` on, and did not acknowledge them: each time it does so again, it stays out twice as
    /// long. Chunks that were under way together are one time.
    pub(crate) fn fell_silent(&mut self, begun: Instant, now: Instant) -> Option<Change> {
        if self.failed_at.is_none_or(|failed| failed <= begun) {
            self.unanswered = self.unanswered.saturating_add(1);
        }
        let doublings = self.unanswered.saturating_sub(1).min(16);
        let wait = self.rules.recover_wait.saturating_mul(1 << doublings);
        self.stay_out(now + wait.min(LEFT_OUT_MAX).max(self.rules.recover_wait));
        self.fall(now)
    }

    /// Looks whether it has been silent for too long. To be called once per interval.
    pub(crate) fn watch(&mut self, now: Instant) -> Option<Change> {
        if !self.is_up || !self.rules.beats {
            return None;
        }
        let silence = self.detector.silence(now);
        let is_suspicious = self
            .rules
            .phi_threshold
            .is_some_and(|threshold| self.detector.phi(now) > threshold);
        (is_suspicious || silence > self.rules.hard_timeout).then(|| {
            self.out_until = None;
            self.fall(now);
            Change::Down
        })
    }

    fn is_served(&self, now: Instant) -> bool {
        self.out_until.is_none_or(|until| until <= now)
    }

    fn samples_to_recover(&self) -> usize {
        let samples = self.rules.recover_wait.as_millis() / self.rules.interval.as_millis().max(1);
        usize::try_from(samples).unwrap_or(usize::MAX)
    }

    /// At least until then: a connection that breaks says nothing against a longer wait.
    fn stay_out(&mut self, until: Instant) {
        self.out_until = self.out_until.max(Some(until));
    }

    fn rise(&mut self) -> Change {
        self.is_up = true;
        self.out_until = None;
        Change::Up
    }

    fn fall(&mut self, now: Instant) -> Option<Change> {
        self.failed_at = Some(now);
        self.detector.forget();
        std::mem::replace(&mut self.is_up, false).then_some(Change::Down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rules() -> Rules {
        Rules {
            beats: true,
            interval: SECOND,
            hard_timeout: 60 * SECOND,
            recover_wait: 10 * SECOND,
            phi_threshold: Some(16.0),
        }
    }

    /// Beats once per second until it is up again; returns how many it took.
    fn beats_until_up(health: &mut Health, now: &mut Instant) -> u32 {
        let mut beats = 1;
        *now += SECOND;
        while health.beat(*now).is_none() {
            *now += SECOND;
            beats += 1;
        }
        beats
    }

    #[test]
    fn ten_heartbeats_and_one_bring_a_server_back() {
        let mut now = Instant::now();
        let mut health = Health::new(rules(), now);
        assert_eq!(health.failed(now), Some(Change::Down));
        assert_eq!(
            (health.failed(now), health.is_available(now)),
            (None, false)
        );
        assert_eq!(beats_until_up(&mut health, &mut now), 11);
        assert!(health.is_available(now));
    }

    #[test]
    fn records_that_arrive_bring_it_back_at_once() {
        let now = Instant::now();
        let mut health = Health::new(rules(), now);
        health.fell_silent(now, now);
        assert_eq!(health.delivered(now), Some(Change::Up));
        assert_eq!(health.delivered(now), None);
    }

    #[test]
    fn silence_is_noticed_by_phi_and_by_the_hard_timeout() {
        let cases = [(Some(16.0), 37), (None, 61)];
        for (phi_threshold, secs) in cases {
            let now = Instant::now();
            let mut health = Health::new(
                Rules {
                    phi_threshold,
                    ..rules()
                },
                now,
            );
            assert_eq!(health.watch(now + (secs - 1) * SECOND), None);
            assert_eq!(health.watch(now + secs * SECOND), Some(Change::Down));
            assert_eq!(health.watch(now + 2 * secs * SECOND), None);
        }
    }

    #[test]
    fn a_server_that_never_acknowledges_stays_out_longer_each_time() {
        let mut now = Instant::now();
        let mut health = Health::new(rules(), now);
        let waits: Vec<u32> = (0..7)
            .map(|_| {
                health.fell_silent(now, now);
                beats_until_up(&mut health, &mut now)
            })
            .collect();
        assert_eq!(waits, [11, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn what_was_under_way_together_counts_once() {
        let begun = Instant::now();
        let mut health = Health::new(rules(), begun);
        let mut now = begun + 30 * SECOND;
        for _ in 0..4 {
            health.fell_silent(begun, now);
        }
        // It broke what was left of its connections, too.
        health.failed(now);
        assert_eq!(beats_until_up(&mut health, &mut now), 11);
        for begun in [now, now + SECOND] {
            health.fell_silent(begun, now + 30 * SECOND);
        }
        health.failed(now + 31 * SECOND);
        now += 30 * SECOND;
        assert_eq!(beats_until_up(&mut health, &mut now), 20);
    }

    #[test]
    fn without_heartbeats_it_is_tried_again_after_recover_wait() {
        let now = Instant::now();
        let mut health = Health::new(
            Rules {
                beats: false,
                ..rules()
            },
            now,
        );
        assert_eq!(health.watch(now + 1_000 * SECOND), None);
        health.failed(now);
        assert!(!health.is_available(now + 9 * SECOND));
        assert!(health.is_available(now + 10 * SECOND));
    }

    #[test]
    fn a_server_that_takes_records_needs_no_heartbeat() {
        let now = Instant::now();
        let mut health = Health::new(rules(), now);
        health.delivered(now);
        assert!(!health.wants_beat(now + SECOND / 2) && health.wants_beat(now + SECOND));
    }
}
