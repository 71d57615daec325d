//! One host: how it did so far, and for how long it is left out.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sdk::{
    metrics::{Gauge, Metrics},
    output::{Failure, FailureKind},
};
use tokio::time::Instant;
use url::Url;

use crate::{
    bulk::{
        item_error::refusal,
        judge::{RequestFate, judge_request},
    },
    hosts::{
        address::Address,
        throttle::{self, Gate},
    },
    http::transport::Reply,
};

/// How long a host that failed once is left out; each failure more doubles it.
const LEFT_OUT_MIN: Duration = Duration::from_secs(1);
/// The gauge of a host.
const UP: &str = "elasticsearch_host_up";

/// Forgets the gauges of a host that is gone.
pub(crate) fn forget(name: &Url, metrics: &Metrics) {
    let metrics = metrics.with(&[("host", name.as_str())]);
    for gauge in [UP].iter().chain(&throttle::GAUGES) {
        metrics.forget_gauge(gauge);
    }
}

/// One of the hosts.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) address: Address,
    health: Mutex<Health>,
    left_out_max: Duration,
    up: Gauge,
    /// Where requests wait until it keeps up.
    pub(crate) gate: Arc<Gate>,
}

/// What a host may be burdened with, and for how long it is left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The longest time that it is left out.
    pub(crate) left_out_max: Duration,
    /// Size of a full request, in bytes.
    pub(crate) request_len: usize,
    /// Requests under way.
    pub(crate) requests_max: usize,
}

/// How a host did so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Health {
    /// Whether its last request was answered.
    pub(crate) is_proven: bool,
    failures: u32,
    pub(crate) left_out_until: Option<Instant>,
}

impl Host {
    /// A host that takes part until it fails.
    pub(crate) fn new(address: Address, limits: Limits, metrics: &Metrics) -> Self {
        let help = "1 while a host answers, 0 while it is left out";
        let labels = [("host", address.url.as_str())];
        let up = metrics.gauge(UP, help, &labels);
        up.set(1);
        let Limits {
            left_out_max,
            request_len,
            requests_max,
        } = limits;
        let gate = Gate::new(request_len, requests_max, address.url.as_str(), metrics);
        Self {
            gate: Arc::new(gate),
            up,
            address,
            health: Mutex::default(),
            left_out_max: left_out_max.max(LEFT_OUT_MIN),
        }
    }

    /// Its address, as it may be shown.
    pub(crate) fn name(&self) -> &Url {
        &self.address.url
    }

    /// Whether it leads elsewhere. Nobody follows: the records would go where nobody meant them to, and what is there might
    /// be a page to log in that answers everything with 200.
    fn leads_elsewhere(&self, reply: &Reply) -> Option<Failure> {
        let (url, elsewhere) = (&self.address.url, reply.elsewhere.as_ref()?);
        let message = format!(
            "{url} leads to {elsewhere}, which is not followed; write the address of the server in `hosts`"
        );
        Some(Failure::new(FailureKind::Http4xx, message))
    }

    /// Why another host should be asked, if this answer is a reason.
    pub(crate) fn refusal(&self, reply: &Reply) -> Option<Failure> {
        if let Some(failure) = self.leads_elsewhere(reply) {
            return Some(failure);
        }
        let url = &self.address.url;
        let error = refusal(&reply.body);
        let RequestFate::NextHost(kind) = judge_request(reply.status, &error) else {
            return None;
        };
        let message = format!("{url} answered {} {}", reply.status, error.summary());
        Some(Failure::new(kind, message.trim_end()))
    }

    /// How it did so far.
    pub(crate) fn health(&self) -> Health {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It answered, so it takes part.
    pub(crate) fn answered(&self) {
        self.set(Health {
            is_proven: true,
            ..Health::default()
        });
        self.up.set(1);
    }

    /// It did not answer well, so it is left out for a while.
    pub(crate) fn failed(&self) {
        let failures = self.health().failures.saturating_add(1);
        let wait = LEFT_OUT_MIN
            .saturating_mul(1 << (failures - 1).min(16))
            .min(self.left_out_max);
        self.set(Health {
            is_proven: false,
            failures,
            left_out_until: Some(Instant::now() + wait),
        });
        self.up.set(0);
    }

    fn set(&self, health: Health) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }
}
