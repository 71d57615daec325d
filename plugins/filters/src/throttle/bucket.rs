//! How much of a group may pass: Fluentd's buckets by period, or tokens at a steady rate.

use std::time::{Duration, Instant};

/// The limit of every group.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    /// So many events in each period, and after an excess none before the rate is low again.
    Period {
        period: Duration,
        events: u64,
        /// Events per second; `None` when the next period always begins anew.
        reset_rate: Option<f64>,
    },
    /// So many events per second, and so many at once.
    Rate { per_second: f64, burst: f64 },
}

/// What a group has used up.
#[derive(Debug)]
pub(super) enum Bucket {
    /// Of a period.
    Period {
        /// The number of the period, from the start of the filter.
        number: u128,
        used: u64,
        exceeded: bool,
        /// Events since `rate_from`, of which the rate is made once a second.
        seen: u32,
        rate_from: Instant,
        rate: f64,
    },
    /// Of a rate.
    Rate { tokens: f64, filled: Instant },
}

impl Limit {
    pub(super) fn bucket(self, start: Instant, now: Instant) -> Bucket {
        match self {
            Self::Period { period, .. } => Bucket::Period {
                number: number(start, now, period),
                used: 0,
                exceeded: false,
                seen: 0,
                rate_from: now,
                rate: 0.0,
            },
            Self::Rate { burst, .. } => Bucket::Rate {
                tokens: burst,
                filled: now,
            },
        }
    }

    /// Takes one event from the bucket. `false` when it is over the limit.
    pub(super) fn take(self, bucket: &mut Bucket, start: Instant, now: Instant) -> bool {
        match (self, bucket) {
            (
                Self::Period {
                    period,
                    events,
                    reset_rate,
                },
                Bucket::Period {
                    number: current,
                    used,
                    exceeded,
                    seen,
                    rate_from,
                    rate,
                },
            ) => {
                *seen = seen.saturating_add(1);
                let since = now.saturating_duration_since(*rate_from).as_secs_f64();
                if since >= 1.0 {
                    *rate = f64::from(*seen) / since;
                    (*seen, *rate_from) = (0, now);
                }
                let next = number(start, now, period);
                if next > *current && !(*exceeded && reset_rate.is_some_and(|low| *rate > low)) {
                    (*current, *used, *exceeded) = (next, 0, false);
                }
                if !*exceeded && *used < events {
                    *used += 1;
                    return true;
                }
                *exceeded = true;
                false
            }
            (Self::Rate { per_second, burst }, Bucket::Rate { tokens, filled }) => {
                let since = now.saturating_duration_since(*filled).as_secs_f64();
                *tokens = (*tokens + since * per_second).min(burst);
                *filled = now;
                let passes = *tokens >= 1.0;
                if passes {
                    *tokens -= 1.0;
                }
                passes
            }
            // A group has the bucket of its limit.
            _ => true,
        }
    }
}

fn number(start: Instant, now: Instant, period: Duration) -> u128 {
    let since = now.saturating_duration_since(start).as_nanos();
    since / period.as_nanos().max(1)
}
