//! Metric handles. A component asks once, at start, and keeps the handle; counting is one atomic add.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
};

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge as PromGauge, histogram::Histogram as PromHistogram},
    registry::Registry,
};

/// A counter that only grows. Registered without the `_total` suffix, which the exposition adds.
pub type Counter = prometheus_client::metrics::counter::Counter;
/// A number that goes up and down.
pub type Gauge = PromGauge<i64>;
/// A number with a fraction that goes up and down.
pub type FloatGauge = PromGauge<f64, AtomicU64>;
/// Durations in seconds.
pub type Histogram = PromHistogram;

type Labels = Vec<(String, String)>;

/// Buckets of every duration histogram, in seconds.
const DURATION_BUCKETS_SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0,
];

/// The registry as a component sees it: every series carries the labels of the component.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Mutex<Shared>>,
    labels: Labels,
}

#[derive(Default)]
struct Shared {
    registry: Registry,
    counters: BTreeMap<&'static str, Family<Labels, Counter>>,
    gauges: BTreeMap<&'static str, Family<Labels, Gauge>>,
    float_gauges: BTreeMap<&'static str, Family<Labels, FloatGauge>>,
    histograms: BTreeMap<&'static str, Family<Labels, Histogram>>,
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
        self.lock(
            |Shared {
                 registry, counters, ..
             }| {
                let family = counters
                    .entry(name)
                    .or_insert_with(|| register(registry, name, help, Family::default()));
                family.get_or_create(&self.join(labels)).clone()
            },
        )
    }

    /// A gauge `weir_<name>`.
    pub fn gauge(&self, name: &'static str, help: &str, labels: &[(&str, &str)]) -> Gauge {
        self.lock(
            |Shared {
                 registry, gauges, ..
             }| {
                let family = gauges
                    .entry(name)
                    .or_insert_with(|| register(registry, name, help, Family::default()));
                family.get_or_create(&self.join(labels)).clone()
            },
        )
    }

    /// A gauge `weir_<name>` with a fraction, for `_seconds` and `_ratio`.
    pub fn float_gauge(
        &self,
        name: &'static str,
        help: &str,
        labels: &[(&str, &str)],
    ) -> FloatGauge {
        self.lock(
            |Shared {
                 registry,
                 float_gauges,
                 ..
             }| {
                let family = float_gauges
                    .entry(name)
                    .or_insert_with(|| register(registry, name, help, Family::default()));
                family.get_or_create(&self.join(labels)).clone()
            },
        )
    }

    /// A histogram of durations `weir_<name>`, in seconds.
    pub fn histogram(&self, name: &'static str, help: &str, labels: &[(&str, &str)]) -> Histogram {
        self.lock(
            |Shared {
                 registry,
                 histograms,
                 ..
             }| {
                let make: fn() -> Histogram = || Histogram::new(DURATION_BUCKETS_SECONDS);
                let family = histograms.entry(name).or_insert_with(|| {
                    let family = Family::<Labels, Histogram>::new_with_constructor(make);
                    register(registry, name, help, family)
                });
                family.get_or_create(&self.join(labels)).clone()
            },
        )
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

fn register<M>(registry: &mut Registry, name: &'static str, help: &str, metric: M) -> M
where
    M: prometheus_client::registry::Metric + Clone,
{
    registry.register(name, help.trim_end_matches('.'), metric.clone());
    metric
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
