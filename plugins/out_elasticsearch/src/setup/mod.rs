//! What has to be at the server before documents come: policies, templates, aliases and data streams. It is put there
//! in the background as soon as its name is known, and at the latest before the first document; what the server does
//! not want is an error in the log, and documents go on.

mod counters;
mod describe;
mod lifecycle;
mod plan;
mod settings;
mod step;
mod template;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sdk::{plugin::BuildCx, stop::Stop};
use tokio::time::Instant;

use counters::Counters;
pub(crate) use plan::{Names, Plan, Target};
use step::{End, Step};

use crate::{
    config::Config,
    hosts::{Hosts, NoHost},
};

/// When what was refused is tried again.
const AGAIN: Duration = Duration::from_mins(1);
/// How long to wait before the next try when nobody answers, at first and at most.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_mins(1);
/// Names that are remembered. With more, which come from senders, all are looked up anew.
const REMEMBERED_MAX: usize = 10_000;

/// Puts there what is missing.
#[derive(Debug)]
pub(crate) struct Setup {
    plan: Plan,
    /// Names that are known before the first document.
    known: Option<Names>,
    forget_every: Option<Duration>,
    output: Arc<str>,
    /// The targets that are ready; with a time, until then.
    ready: Mutex<HashMap<String, Option<Instant>>>,
    /// One at a time.
    working: tokio::sync::Mutex<()>,
    counters: Counters,
}

/// What the steps of one target came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Whole,
    /// The server does not want a part of it.
    Partly,
}

impl Setup {
    /// For a plan, with the name that all documents are sent to, if it is one.
    pub(crate) fn new(plan: Plan, target: Option<String>, config: &Config, cx: &BuildCx) -> Self {
        let known = plan.names(target).filter(|_| plan.is_per_target());
        Self {
            known,
            plan,
            forget_every: config.truncate_caches_interval.map(|interval| interval.0),
            output: Arc::clone(&cx.id),
            ready: Mutex::default(),
            working: tokio::sync::Mutex::default(),
            counters: Counters::new(&cx.metrics),
        }
    }

    /// Makes ready what documents are about to be sent to.
    ///
    /// # Errors
    /// [`NoHost`] when that cannot be known now. What the server refuses is no error.
    pub(crate) async fn prepare(
        &self,
        hosts: &Hosts,
        targets: &BTreeSet<Names>,
    ) -> Result<(), NoHost> {
        let shared = Names::default();
        for names in std::iter::once(&shared).chain(targets) {
            if self.is_ready(names) {
                continue;
            }
            let _turn = self.working.lock().await;
            if self.is_ready(names) {
                continue;
            }
            let outcome = self.make_ready(hosts, names).await;
            let until = match outcome.inspect_err(|_| {
                self.counters.failed.inc();
            })? {
                Readiness::Whole => None,
                Readiness::Partly => Some(Instant::now() + AGAIN),
            };
            self.note(names, until);
        }
        Ok(())
    }

    /// Works beside the documents until `stop`: at once for what is known, later for what was refused or forgotten.
    pub(crate) async fn run(&self, hosts: &Hosts, stop: &Stop) {
        let targets: BTreeSet<Names> = self.known.iter().cloned().collect();
        let mut wait = WAIT_MIN;
        loop {
            let next = match self.prepare(hosts, &targets).await {
                Ok(()) => {
                    wait = WAIT_MIN;
                    self.next_look()
                }
                Err(NoHost { failure, .. }) => {
                    let output = &*self.output;
                    tracing::warn!(
                        output,
                        "what documents need is not at the server yet: {failure}"
                    );
                    let now = wait.mul_f64(0.5 + fastrand::f64() / 2.0);
                    wait = wait.saturating_mul(2).min(WAIT_MAX);
                    Some(now)
                }
            };
            let pause = async {
                match next {
                    Some(next) => tokio::time::sleep(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = pause => {}
                () = stop.stopped() => return,
            }
            if self.forget_every.is_some() && next == self.forget_every {
                self.ready().clear();
            }
        }
    }

    /// When something has to be looked at again.
    fn next_look(&self) -> Option<Duration> {
        let is_partly = self.ready().values().any(Option::is_some);
        is_partly.then_some(AGAIN).or(self.forget_every)
    }

    fn ready(&self) -> std::sync::MutexGuard<'_, HashMap<String, Option<Instant>>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ready(&self, names: &Names) -> bool {
        let ready = self.ready();
        let until = ready.get(&names.target);
        until.is_some_and(|until| until.is_none_or(|until| Instant::now() < until))
    }

    fn note(&self, names: &Names, until: Option<Instant>) {
        let mut ready = self.ready();
        if ready.len() >= REMEMBERED_MAX {
            ready.clear();
        }
        ready.insert(names.target.clone(), until);
    }

    async fn make_ready(&self, hosts: &Hosts, names: &Names) -> Result<Readiness, NoHost> {
        let mut readiness = Readiness::Whole;
        let steps = self.steps(hosts, names, &mut readiness).await?;
        for step in steps {
            self.take(hosts, &step, &mut readiness).await?;
        }
        Ok(readiness)
    }

    /// The steps for one target, once the policies are there that they refer to.
    async fn steps(
        &self,
        hosts: &Hosts,
        names: &Names,
        readiness: &mut Readiness,
    ) -> Result<Vec<Step>, NoHost> {
        if names.target.is_empty() {
            return self.plan.shared_steps().await.map_err(NoHost::here);
        }
        let (is_opensearch, mut has_cycle) = self.cycle(hosts).await?;
        if has_cycle {
            for step in self.plan.policy_steps(names, is_opensearch) {
                let end = self.take(hosts, &step, readiness).await?;
                has_cycle &= !matches!(end, End::Refused(_));
            }
        }
        let steps = self
            .plan
            .target_steps(names, has_cycle, is_opensearch)
            .await;
        steps.map_err(NoHost::here)
    }

    /// Whether the server is OpenSearch, and whether there is to be a life cycle.
    async fn cycle(&self, hosts: &Hosts) -> Result<(bool, bool), NoHost> {
        let Some(cycle) = &self.plan.lifecycle else {
            return Ok((false, false));
        };
        let server = hosts.server().await?;
        let is_opensearch = server.is_some_and(|server| server.is_opensearch);
        Ok((is_opensearch, cycle.is_asked_for || !is_opensearch))
    }

    async fn take(
        &self,
        hosts: &Hosts,
        step: &Step,
        readiness: &mut Readiness,
    ) -> Result<End, NoHost> {
        let (output, what) = (&*self.output, &step.what);
        let end = step.carry_out(hosts).await?;
        match &end {
            End::There => {
                self.counters.there.inc();
                tracing::debug!(output, "{what} is there");
            }
            End::Made => {
                self.counters.made.inc();
                tracing::info!(output, "{what} was put there");
            }
            End::Refused(why) if step.is_optional => {
                tracing::debug!(output, "the server does not take {what}: {why}");
            }
            End::Refused(why) => {
                self.counters.refused.inc();
                *readiness = Readiness::Partly;
                tracing::error!(
                    output,
                    "the server does not take {what}: {why}; documents go on without it, and it is tried again every minute"
                );
            }
        }
        Ok(end)
    }
}
