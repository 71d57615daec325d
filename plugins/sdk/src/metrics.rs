//! Metric handles. A component asks once, at start, and keeps the handle; counting is one atomic add.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
};

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge as PromGauge, histogram::Histogram as PromHistogram},
    registry::Registry,
};

/// A counter of seconds and other fractions that only grows.
pub type FloatCounter = prometheus_client::metrics::counter::Counter<f64, AtomicU64>;
/// A counter that only grows. Registered without the `_total` suffix, which the exposition adds.
pub type Counter = prometheus_client::metrics::counter::Counter;
/// A number that goes up and down.
pub type Gauge = PromGauge<i64>;
/// A number with a fraction that goes up and down.
pub type FloatGauge = PromGauge<f64, AtomicU64>;
/// Durations in seconds, or sizes in bytes.
pub type Histogram = PromHistogram;

/// One more in a gauge, until it is dropped: however a connection, a call or a component ends, it is counted out.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    /// Counts one in.
    pub fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

type Labels = Vec<(String, String)>;

/// Buckets of every duration histogram, in seconds.
const DURATION_BUCKETS_SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0,
];

/// Buckets of delays in seconds, such as from an event to its delivery.
const DELAY_BUCKETS_SECONDS: [f64; 12] = [
    0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0,
];

/// Buckets of sizes in bytes: 1 KiB to 64 MiB, each four times the one before.
const SIZE_BUCKETS_BYTES: [f64; 9] = [
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// The buckets of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buckets {
    /// Seconds of work: 1 ms to a minute.
    Durations,
    /// Seconds on the way: 100 ms to an hour.
    Delays,
    /// Bytes: 1 KiB to 64 MiB.
    Sizes,
}

/// The registry as a component sees it: every series carries the labels of the component.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Mutex<Shared>>,
    labels: Labels,
}

#[derive(Default)]
struct Shared {
    registry: Registry,
    counters: BTreeMap<&'static str, Known<Counter>>,
    float_counters: BTreeMap<&'static str, Known<FloatCounter>>,
    gauges: BTreeMap<&'static str, Known<Gauge>>,
    float_gauges: BTreeMap<&'static str, Known<FloatGauge>>,
    histograms: BTreeMap<&'static str, Known<Histogram>>,
}

/// The series of one name, and their labels: a family does not tell them.
struct Known<M> {
    family: Family<Labels, M>,
    series: BTreeSet<Labels>,
}

impl<M: Clone + Send + Sync + 'static> Known<M>
where
    Family<Labels, M>: prometheus_client::registry::Metric,
{
    fn new(registry: &mut Registry, name: &'static str, help: &str, make: fn() -> M) -> Self {
        let family = Family::new_with_constructor(make);
        registry.register(name, help.trim_end_matches('.'), family.clone());
        Self {
            family,
            series: BTreeSet::new(),
        }
    }

    fn series(&mut self, labels: Labels) -> M {
        let series = self.family.get_or_create(&labels).clone();
        self.series.insert(labels);
        series
    }

    /// Removes the series whose labels begin with these.
    fn forget(&mut self, labels: &[(String, String)]) {
        self.series.retain(|series| {
            let goes = series.starts_with(labels);
            if goes {
                self.family.remove(series);
            }
            !goes
        });
    }
}

impl Metrics {
    /// An empty registry whose names begin with `weir_`.
    pub fn new() -> Self {
        let shared = Shared {
            registry: Registry::with_prefix("weir"),
            ..Shared::default()
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
            labels: Vec::new(),
        }
    }

    /// The same registry with these labels on every series asked for from now on.
    #[must_use]
    pub fn with(&self, labels: &[(&str, &str)]) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            labels: self.join(labels),
        }
    }

    /// A counter `weir_<name>_total`. The same name and labels give the same counter. It exists with 0 from now on.
    pub fn counter(&self, name: &'static str, help: &str, labels: &[(&str, &str)]) -> Counter {
        let labels = self.join(labels);
        self.lock(|shared| {
            let known = shared.counters.entry(name);
            known
                .or_insert_with(|| Known::new(&mut shared.registry, name, help, Counter::default))
                .series(labels)
        })
    }

    /// A counter `weir_<name>_total` with a fraction, for `_seconds`.
    pub fn float_counter(
        &self,
        name: &'static str,
        help: &str,
        labels: &[(&str, &str)],
    ) -> FloatCounter {
        let labels = self.join(labels);
        self.lock(|shared| {
            let known = shared.float_counters.entry(name);
            let make = FloatCounter::default;
            known
                .or_insert_with(|| Known::new(&mut shared.registry, name, help, make))
                .series(labels)
        })
    }

    /// A gauge `weir_<name>`.
    pub fn gauge(&self, name: &'static str, help: &str, labels: &[(&str, &str)]) -> Gauge {
        let labels = self.join(labels);
        self.lock(|shared| {
            let known = shared.gauges.entry(name);
            known
                .or_insert_with(|| Known::new(&mut shared.registry, name, help, Gauge::default))
                .series(labels)
        })
    }

    /// A gauge `weir_<name>` with a fraction, for `_seconds` and `_ratio`.
    pub fn float_gauge(
        &self,
        name: &'static str,
        help: &str,
        labels: &[(&str, &str)],
    ) -> FloatGauge {
        let labels = self.join(labels);
        self.lock(|shared| {
            let known = shared.float_gauges.entry(name);
            known
                .or_insert_with(|| {
                    Known::new(&mut shared.registry, name, help, FloatGauge::default)
                })
                .series(labels)
        })
    }

    /// A histogram of durations `weir_<name>`, in seconds.
    pub fn histogram(&self, name: &'static str, help: &str, labels: &[(&str, &str)]) -> Histogram {
        self.histogram_in(name, help, labels, Buckets::Durations)
    }

    /// A histogram `weir_<name>` with these buckets. The first who asks for a name decides.
    pub fn histogram_in(
        &self,
        name: &'static str,
        help: &str,
        labels: &[(&str, &str)],
        buckets: Buckets,
    ) -> Histogram {
        let make: fn() -> Histogram = match buckets {
            Buckets::Durations => || Histogram::new(DURATION_BUCKETS_SECONDS),
            Buckets::Delays => || Histogram::new(DELAY_BUCKETS_SECONDS),
            Buckets::Sizes => || Histogram::new(SIZE_BUCKETS_BYTES),
        };
        let labels = self.join(labels);
        self.lock(|shared| {
            let known = shared.histograms.entry(name);
            known
                .or_insert_with(|| Known::new(&mut shared.registry, name, help, make))
                .series(labels)
        })
    }

    /// Whether both are the registry with the same labels.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared) && self.labels == other.labels
    }

    /// Whether this carries at least the labels of the other.
    pub fn is_within(&self, other: &Self) -> bool {
        self.labels.starts_with(&other.labels)
    }

    /// Removes every series that carries the labels of this handle: the component is gone for good. Handles that were
    /// given out count on, where nobody sees it.
    pub fn forget(&self) {
        let labels = &*self.labels;
        self.lock(|shared| {
            shared
                .counters
                .values_mut()
                .for_each(|known| known.forget(labels));
            shared
                .float_counters
                .values_mut()
                .for_each(|known| known.forget(labels));
            shared
                .gauges
                .values_mut()
                .for_each(|known| known.forget(labels));
            shared
                .float_gauges
                .values_mut()
                .for_each(|known| known.forget(labels));
            shared
                .histograms
                .values_mut()
                .for_each(|known| known.forget(labels));
        });
    }

    /// Removes every series of this gauge that carries the labels of this handle.
    pub fn forget_gauge(&self, name: &str) {
        let labels = &*self.labels;
        self.lock(|shared| {
            if let Some(known) = shared.gauges.get_mut(name) {
                known.forget(labels);
            }
        });
    }

    /// The exposition in `OpenMetrics` text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        self.lock(|shared| {
            if let Err(error) =
                prometheus_client::encoding::text::encode(&mut text, &shared.registry)
            {
                tracing::error!(%error, "the metrics could not be written");
            }
        });
        text
    }

    fn join(&self, labels: &[(&str, &str)]) -> Labels {
        let extra = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.labels.iter().cloned().chain(extra).collect()
    }

    fn lock<T>(&self, use_it: impl FnOnce(&mut Shared) -> T) -> T {
        use_it(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Metrics({:?})", self.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_begins_anew() {
        let metrics = Metrics::new();
        let [one, other] = ["a", "b"].map(|id| metrics.with(&[("component_id", id)]));
        one.counter("seen", "Seen", &[("reason", "x")]).inc();
        other.counter("seen", "Seen", &[]).inc();
        one.histogram("took_seconds", "Took", &[]).observe(1.0);
        one.forget();
        let text = metrics.encode();
        assert!(!text.contains("component_id=\"a\""), "{text}");
        assert!(
            text.contains("weir_seen_total{component_id=\"b\"} 1"),
            "{text}"
        );
        assert_eq!(one.counter("seen", "Seen", &[("reason", "x")]).get(), 0);
    }
}
