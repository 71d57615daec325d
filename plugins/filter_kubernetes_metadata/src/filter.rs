//! The filter: finds the pod of each record, writes what is known of it, holds what has to wait.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use sdk::{
    config::{self, ConfigErrors},
    event::{Batch, RawEvent},
    metrics::{Counter, Metrics},
    plugin::BuildCx,
    stateful::{Held, Outbox, StatefulFilter},
};
use tokio::task::JoinSet;

use crate::{
    config::Config,
    exclude::is_excluded,
    identity::Identity,
    layout::{Additions, additions},
    merge,
    meters::Meters,
    pod::Known,
    settings::Settings,
    store::Store,
    usage::Usage,
    waiting::{PodKey, Waiting},
    watch,
};

/// How often waiting records look whether their pods are known.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Most containers whose texts are kept ready.
const READY_MAX: usize = 2048;

/// Adds metadata.
pub(crate) struct Enricher {
    settings: Settings,
    metrics: Metrics,
    pub(crate) store: Store,
    meters: Meters,
    ready: HashMap<Box<[u8]>, Arc<Ready>>,
    waiting: Waiting,
    wake: Option<Instant>,
    scratch: Vec<u8>,
    watches: Option<JoinSet<()>>,
    /// Counters by namespace, where they are asked for.
    usage: Option<Usage>,
}

/// What is written for one container, as long as its pod stays the same.
struct Ready {
    known: Arc<Known>,
    container: String,
    additions: Additions,
    /// Whether a stream of it may be excluded.
    excludes: bool,
}

/// What becomes of a record.
#[derive(Clone)]
enum Fate {
    Enrich(Arc<Ready>),
    Wait(PodKey),
    /// As it is; the reason is counted.
    Bare(Counter),
}

/// Builds the filter; the API server is first asked when it starts.
pub(crate) fn build(
    params: serde_json::Value,
    cx: &BuildCx,
) -> Result<Box<dyn StatefulFilter>, ConfigErrors> {
    let settings = Settings::new(config::parse::<Config>(params)?)?;
    Ok(Box::new(Enricher::new(settings, cx.metrics.clone())))
}

impl Enricher {
    pub(crate) fn new(settings: Settings, metrics: Metrics) -> Self {
        Self {
            store: Store::new(settings.grace),
            meters: Meters::new(&metrics),
            usage: settings
                .namespace_metrics
                .then(|| Usage::new(metrics.clone())),
            metrics,
            settings,
            ready: HashMap::new(),
            waiting: Waiting::default(),
            wake: None,
            scratch: Vec::new(),
            watches: None,
        }
    }

    fn fate(&mut self, identity: &Identity<'_>) -> Fate {
        if !identity.is_known() {
            return Fate::Bare(self.meters.unenriched.unidentified.clone());
        }
        let key = pod_key(identity);
        if self.waiting.holds(&key) {
            return Fate::Wait(key);
        }
        if let Some(known) = self.store.find(identity) {
            self.waiting.found(&key);
            return Fate::Enrich(self.ready(known, identity.container.unwrap_or_default()));
        }
        self.meters.misses.inc();
        if self.settings.wait.is_zero() || self.waiting.gave_up(&key) {
            return Fate::Bare(self.meters.unenriched.timeout.clone());
        }
        Fate::Wait(key)
    }

    /// What is written for this container, made anew when its pod has changed.
    fn ready(&mut self, known: Arc<Known>, container: &[u8]) -> Arc<Ready> {
        let key: Box<[u8]> = [known.pod.uid.as_bytes(), b"/", container].concat().into();
        if let Some(ready) = self.ready.get(&key)
            && Arc::ptr_eq(&ready.known, &known)
        {
            return Arc::clone(ready);
        }
        let container = String::from_utf8_lossy(container).into_owned();
        let excluded = |stream| is_excluded(&known, &container, stream);
        let ready = Arc::new(Ready {
            additions: additions(&self.settings, &known, &container),
            excludes: self.settings.exclude
                && (excluded(None) || excluded(Some("stdout")) || excluded(Some("stderr"))),
            known,
            container,
        });
        if self.ready.len() >= READY_MAX {
            self.ready.clear();
        }
        self.ready.insert(key, Arc::clone(&ready));
        ready
    }

    /// Whether the pod asks for this record to be left out.
    fn is_unwanted(ready: &Ready, event: &RawEvent<'_>) -> bool {
        ready.excludes && {
            let stream = event
                .record
                .get(b"stream")
                .and_then(sdk::msgpack::RawValue::as_str);
            is_excluded(&ready.known, &ready.container, stream)
        }
    }

    /// Lets the records of a pod go: with metadata where it is known, else as they are.
    fn let_go(&mut self, pod: &[u8], reason: &Counter, out: &mut Outbox) {
        for held in self.waiting.take(pod) {
            let Some(event) = held.event() else {
                out.release(held);
                continue;
            };
            let identity =
                Identity::of_record(event.record).or_of_tag(&held.tag, &self.settings.tag_pattern);
            let Some(known) = self.store.find(&identity) else {
                reason.inc();
                out.release(held);
                continue;
            };
            let ready = self.ready(known, identity.container.unwrap_or_default());
            if Self::is_unwanted(&ready, &event) {
                out.discard(held);
                continue;
            }
            self.meters.hits.inc();
            let mut record = std::mem::take(&mut self.scratch);
            record.clear();
            merge::record(event.record, &ready.additions, &mut record);
            let (tag, time) = (held.tag.clone(), event.time);
            out.merge(vec![held], &tag, time, &record);
            self.scratch = record;
        }
    }

    /// Lets go of pods that are known now, of those that waited long enough, and of the oldest while too much waits.
    fn look(&mut self, now: Instant, out: &mut Outbox) {
        let timeout = self.meters.unenriched.timeout.clone();
        for pod in self.waiting.pods() {
            if self.is_found(&pod) {
                self.let_go(&pod, &timeout, out);
            }
        }
        for pod in self.waiting.overdue(now, self.settings.wait) {
            self.let_go(&pod, &timeout, out);
        }
        let limit = self.meters.unenriched.wait_limit.clone();
        while self.waiting.bytes() > self.settings.wait_limit_bytes
            && let Some(pod) = self.waiting.oldest()
        {
            self.let_go(&pod, &limit, out);
        }
        let records = self.waiting.records();
        self.meters
            .waiting_records
            .set(i64::try_from(records).unwrap_or(i64::MAX));
        self.wake = (records > 0).then(|| now + LOOK_EVERY);
    }

    fn is_found(&self, pod: &[u8]) -> bool {
        let identity = match pod.iter().position(|byte| *byte == b'/') {
            Some(at) => Identity {
                namespace: pod.get(..at),
                pod: pod.get(at + 1..),
                ..Identity::default()
            },
            None => Identity {
                uid: Some(pod),
                ..Identity::default()
            },
        };
        self.store.find(&identity).is_some()
    }
}

impl StatefulFilter for Enricher {
    fn start(&mut self) {
        self.watches = Some(watch::start(
            &self.settings.server,
            &self.store,
            &self.metrics,
        ));
    }

    fn filter(&mut self, batch: &Batch, now: Instant, out: &mut Outbox) {
        let pattern = self.settings.tag_pattern.clone();
        let mut last: Option<(Identity<'_>, Fate)> = None;
        let mut hits = 0;
        for (index, event) in (0_u32..).zip(batch.entries().map_while(Result::ok)) {
            let identity = Identity::of_record(event.record).or_of_tag(&batch.tag, &pattern);
            if let Some((usage, namespace)) = self.usage.as_mut().zip(identity.namespace) {
                usage.count(namespace, event.entry.len());
            }
            let fate = match &last {
                Some((same, fate)) if *same == identity => fate.clone(),
                _ => self.fate(&identity),
            };
            match &fate {
                Fate::Enrich(ready) if Self::is_unwanted(ready, &event) => out.drop_event(),
                Fate::Enrich(ready) => {
                    hits += 1;
                    self.scratch.clear();
                    merge::record(event.record, &ready.additions, &mut self.scratch);
                    out.change(batch, index, &batch.tag, event.time, &self.scratch);
                }
                Fate::Wait(pod) => {
                    let held = Held::new(batch, index, &event);
                    self.waiting.push(pod, held, now);
                }
                Fate::Bare(reason) => {
                    reason.inc();
                    out.pass(batch, index, &event);
                }
            }
            last = Some((identity, fate));
        }
        self.meters.hits.inc_by(hits);
        if self.waiting.records() > 0 {
            self.look(now, out);
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Outbox) {
        self.look(now, out);
    }

    fn wake(&self) -> Option<Instant> {
        self.wake
    }

    fn finish(&mut self, out: &mut Outbox) {
        let shutdown = self.meters.unenriched.shutdown.clone();
        for pod in self.waiting.pods() {
            self.let_go(&pod, &shutdown, out);
        }
        self.meters.waiting_records.set(0);
        self.wake = None;
    }
}

/// The uid, or namespace and name. A uid has no slash in it.
fn pod_key(identity: &Identity<'_>) -> PodKey {
    match identity.uid {
        Some(uid) => uid.into(),
        None => [
            identity.namespace.unwrap_or_default(),
            b"/",
            identity.pod.unwrap_or_default(),
        ]
        .concat()
        .into(),
    }
}
