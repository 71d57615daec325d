//! Records of pods that are not known yet, in order, each pod by itself.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use sdk::stateful::Held;

/// Most pods that are remembered as unknown, so that their records do not wait again.
const GIVEN_UP_MAX: usize = 10_000;

/// Names one pod: its uid, or namespace and name.
pub(crate) type PodKey = Box<[u8]>;

/// Holds records until their pods are known.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pods: HashMap<PodKey, Queue>,
    /// In the order in which they began to wait.
    order: VecDeque<PodKey>,
    bytes: usize,
    given_up: HashMap<PodKey, Instant>,
}

#[derive(Debug)]
struct Queue {
    since: Instant,
    held: Vec<Held>,
    bytes: usize,
}

impl Waiting {
    /// Whether records of this pod wait, so that the next one has to wait too.
    pub(crate) fn holds(&self, pod: &[u8]) -> bool {
        self.pods.contains_key(pod)
    }

    /// Whether waiting for this pod was in vain before.
    pub(crate) fn gave_up(&self, pod: &[u8]) -> bool {
        self.given_up.contains_key(pod)
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Records that wait.
    pub(crate) fn records(&self) -> usize {
        self.pods.values().map(|queue| queue.held.len()).sum()
    }

    /// The next record of this pod waits.
    pub(crate) fn push(&mut self, pod: &[u8], held: Held, now: Instant) {
        let bytes = held.entry.len();
        self.bytes += bytes;
        if let Some(queue) = self.pods.get_mut(pod) {
            queue.bytes += bytes;
            queue.held.push(held);
            return;
        }
        self.order.push_back(pod.into());
        let queue = Queue {
            since: now,
            held: vec![held],
            bytes,
        };
        self.pods.insert(pod.into(), queue);
    }

    /// The records of a pod, which wait no longer.
    pub(crate) fn take(&mut self, pod: &[u8]) -> Vec<Held> {
        let Some(queue) = self.pods.remove(pod) else {
            return Vec::new();
        };
        self.bytes -= queue.bytes;
        self.order.retain(|other| **other != *pod);
        queue.held
    }

    /// The pod that has waited longest.
    pub(crate) fn oldest(&self) -> Option<PodKey> {
        self.order.front().cloned()
    }

    /// The pods that have waited for `wait`; they are not waited for again.
    pub(crate) fn overdue(&mut self, now: Instant, wait: Duration) -> Vec<PodKey> {
        let is_overdue = |pod: &&PodKey| {
            self.pods
                .get(*pod)
                .is_none_or(|queue| now.duration_since(queue.since) >= wait)
        };
        let overdue: Vec<PodKey> = self.order.iter().take_while(is_overdue).cloned().collect();
        for pod in &overdue {
            self.give_up(pod, now);
        }
        overdue
    }

    /// Every pod with waiting records, in order.
    pub(crate) fn pods(&self) -> Vec<PodKey> {
        self.order.iter().cloned().collect()
    }

    /// A pod became known after all.
    pub(crate) fn found(&mut self, pod: &[u8]) {
        self.given_up.remove(pod);
    }

    fn give_up(&mut self, pod: &PodKey, now: Instant) {
        if self.given_up.len() >= GIVEN_UP_MAX {
            let mut times: Vec<Instant> = self.given_up.values().copied().collect();
            times.sort_unstable();
            let middle = times.get(times.len() / 2).copied().unwrap_or(now);
            self.given_up.retain(|_, since| *since > middle);
        }
        self.given_up.insert(pod.clone(), now);
    }
}
