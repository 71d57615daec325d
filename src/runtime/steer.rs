//! What the process does on signals and requests, until there is a reason to end.

use std::{pin::pin, sync::Arc, time::Duration};

use sdk::metrics::Metrics;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior},
};

use super::{
    Control, End, Health, Origin, Requests,
    control::{Outcome, Request, Turn},
    graph::Graph,
    origin,
    reload::{Plan, Refusal, plan, plan_for},
    reloads::Reloads,
    signals::{Event, Signals},
    supervise::Fatal,
};
use crate::{buffer::Buffer, config::Config};

/// How often the graph is looked after.
const LOOK_AFTER_EVERY: Duration = Duration::from_millis(200);
/// How long after a reload a component that changed may not fail, or the configuration before takes over again.
const OBSERVED: Duration = Duration::from_secs(30);

/// Where orders come from.
pub(super) struct Helm {
    signals: Signals,
    control: Control,
    requests: Requests,
    changes: mpsc::Receiver<()>,
    fatals: mpsc::Receiver<Fatal>,
    /// Ids of components that failed and are restarted.
    failures: mpsc::Receiver<Arc<str>>,
    origin: Option<Arc<Origin>>,
    reloads: Reloads,
    health: Health,
    /// Somebody who does not wait for an answer wants a reload.
    is_wanted: bool,
    under_way: Option<UnderWay>,
    watched: Option<Watched>,
}

/// A reload that is being planned.
struct UnderWay {
    turn: Turn,
    answer: Option<oneshot::Sender<Outcome>>,
    planning: JoinHandle<Result<Plan, Refusal>>,
    /// It goes back to a configuration that ran before.
    is_return: bool,
}

/// A new configuration that has to prove itself.
struct Watched {
    until: Instant,
    before: Arc<Config>,
    /// The components that ran before and run otherwise now, and how often each has failed.
    changed: Vec<(Arc<str>, u32)>,
}

/// What the helm is made of.
pub(super) struct Wheels {
    pub(super) signals: Signals,
    pub(super) control: Control,
    pub(super) requests: Requests,
    pub(super) fatals: mpsc::Receiver<Fatal>,
    pub(super) failures: mpsc::Receiver<Arc<str>>,
    pub(super) origin: Option<Arc<Origin>>,
    pub(super) watch: bool,
    pub(super) reloads: Reloads,
    pub(super) health: Health,
}

impl Helm {
    /// Begins to watch the file of the configuration, if it is to be watched.
    pub(super) fn new(wheels: Wheels) -> Self {
        let Wheels {
            signals,
            control,
            requests,
            fatals,
            failures,
            origin,
            watch,
            reloads,
            health,
        } = wheels;
        let (tell, changes) = mpsc::channel(1);
        if let Some(origin) = origin.clone().filter(|_| watch) {
            tokio::spawn(origin::watch(origin, tell));
        }
        Self {
            signals,
            control,
            requests,
            changes,
            fatals,
            failures,
            origin,
            reloads,
            health,
            is_wanted: false,
            under_way: None,
            watched: None,
        }
    }

    /// Does what is asked for until there is a reason to end.
    pub(super) async fn steer(&mut self, graph: &mut Graph) -> Ending {
        let mut looks = tokio::time::interval(LOOK_AFTER_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.begin_if_wanted(graph).await;
            tokio::select! {
                event = self.signals.next() => match event {
                    Event::Drain => return Ending::now(Manner::Drain, End::Clean),
                    Event::Quit => return Ending::now(Manner::AtOnce, End::Clean),
                    Event::Flush => graph.flush(),
                    Event::Reload => self.is_wanted = true,
                },
                Some(()) = self.changes.recv() => {
                    tracing::info!("the file of the configuration has changed");
                    self.is_wanted = true;
                }
                Some(Request { turn, answer }) = self.requests.recv(), if self.under_way.is_none() => {
                    self.begin(graph, turn, Some(answer)).await;
                }
                Some(planned) = planned(&mut self.under_way) => {
                    if let Some(end) = self.finish(graph, planned).await {
                        return end;
                    }
                }
                Some(id) = self.failures.recv() => self.return_if_it_was_healthy(graph, &id).await,
                Some(Fatal { component, .. }) = self.fatals.recv() => {
                    tracing::error!(%component, "ending, because its failure = \"stop\"");
                    return Ending::now(Manner::Drain, End::Failed);
                }
                _ = looks.tick() => graph.look_after().await,
            }
        }
    }

    async fn begin_if_wanted(&mut self, graph: &mut Graph) {
        if !self.is_wanted || self.under_way.is_some() {
            return;
        }
        // Otherwise a request is on its way; this comes behind it.
        if let Ok(turn) = self.control.turn() {
            self.is_wanted = false;
            self.begin(graph, turn, None).await;
        }
    }

    async fn begin(
        &mut self,
        graph: &mut Graph,
        turn: Turn,
        answer: Option<oneshot::Sender<Outcome>>,
    ) {
        tracing::info!(reload = turn.number, "reading the configuration again");
        let planning = plan(self.origin.clone(), graph.ground().await);
        self.under_way = Some(UnderWay {
            turn,
            answer,
            planning: tokio::spawn(planning),
            is_return: false,
        });
    }

    /// Puts the new graph in place, or says why there is none. Returns the end, when it came meanwhile.
    async fn finish(
        &mut self,
        graph: &mut Graph,
        planned: Result<Plan, Refusal>,
    ) -> Option<Ending> {
        let under_way = self.under_way.take()?;
        let mut end = None;
        let outcome = match planned {
            Err(refusal) => {
                refused(under_way.turn.number, &refusal);
                Err(refusal)
            }
            Ok(plan) => {
                let before = Arc::clone(graph.config());
                let changed = plan.changed();
                self.take_over(&plan);
                let summary = {
                    let mut replaced = pin!(graph.replace(plan));
                    loop {
                        tokio::select! {
                            summary = &mut replaced => break summary,
                            event = self.signals.next() => match event {
                                Event::Drain => {
                                    self.health.mark_draining();
                                    end.get_or_insert(Ending::now(Manner::Drain, End::Clean));
                                }
                                Event::Quit => end = Some(Ending::now(Manner::AtOnce, End::Clean)),
                                // What is stored is due soon anyway.
                                Event::Flush => {}
                                Event::Reload => self.is_wanted = true,
                            },
                        }
                    }
                };
                tracing::info!(
                    reload = under_way.turn.number,
                    "the new configuration runs: {summary}"
                );
                self.watched = (!under_way.is_return).then(|| Watched {
                    until: Instant::now() + OBSERVED,
                    before,
                    changed: changed.into_iter().map(|id| (id, 0)).collect(),
                });
                Ok(summary)
            }
        };
        self.reloads.done(outcome.is_ok() && !under_way.is_return);
        drop(under_way.turn);
        if let Some(answer) = under_way.answer {
            // Whoever asked may be gone.
            drop(answer.send(outcome));
        }
        end
    }

    /// Ends what runs. Says of further signals that they change nothing, unless one wants the end at once. Whether
    /// everything acknowledged is on disk or delivered.
    pub(super) async fn end(&mut self, graph: Graph, since: Instant) -> bool {
        let memory = graph.memory();
        let mut ending = pin!(graph.end(since));
        loop {
            tokio::select! {
                drained = &mut ending => return drained,
                event = self.signals.next() => match event {
                    Event::Quit => {
                        tracing::warn!("SIGQUIT: ending at once");
                        return memory.iter().all(Buffer::is_empty);
                    }
                    Event::Drain => {
                        tracing::warn!("this process is draining already; SIGQUIT ends it at once");
                    }
                    Event::Flush | Event::Reload => {
                        tracing::warn!("this process is draining, and does nothing else");
                    }
                },
            }
        }
    }

    fn take_over(&self, plan: &Plan) {
        self.control
            .set_token(plan.config.service.admin.token.clone());
        if let Some(hash) = plan.hash {
            self.reloads.show(hash, &plan.config.service.role);
        }
    }

    /// A component failed. If a reload changed it a moment ago, what ran before runs again.
    async fn return_if_it_was_healthy(&mut self, graph: &mut Graph, id: &Arc<str>) {
        let Some(watched) = self.watched.take_if(|watched| watched.is_guilty(id)) else {
            return;
        };
        let Ok(turn) = self.control.turn() else {
            return;
        };
        tracing::error!(
            component = %id,
            "it fails since the configuration was read again; returning to the one before"
        );
        let planning = plan_for((*watched.before).clone(), None, graph.ground().await);
        self.under_way = Some(UnderWay {
            turn,
            answer: None,
            planning: tokio::spawn(planning),
            is_return: true,
        });
    }
}

impl Watched {
    /// Notes a failure of this component. Whether it is one too many: the first may be chance.
    fn is_guilty(&mut self, id: &Arc<str>) -> bool {
        let mut changed = self.changed.iter_mut();
        let Some((_, failures)) = changed.find(|(changed, _)| changed == id) else {
            return false;
        };
        *failures += 1;
        *failures > 1 && Instant::now() < self.until
    }
}

/// How the process ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub(super) manner: Manner,
    pub(super) end: End,
    /// When the reason came.
    pub(super) since: Instant,
}

/// In which manner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Whatever can be delivered is.
    Drain,
    /// With what is on disk.
    AtOnce,
}

impl Ending {
    fn now(manner: Manner, end: End) -> Self {
        Self {
            manner,
            end,
            since: Instant::now(),
        }
    }
}

/// What came of the planning that is under way.
async fn planned(under_way: &mut Option<UnderWay>) -> Option<Result<Plan, Refusal>> {
    match under_way {
        None => std::future::pending().await,
        Some(under_way) => match (&mut under_way.planning).await {
            Ok(planned) => Some(planned),
            Err(panic) => Some(Err(Refusal::Panic(panic.to_string()))),
        },
    }
}

fn refused(number: u64, refusal: &Refusal) {
    if let Refusal::Wrong { people, .. } = refusal {
        tracing::error!(reload = number, "the configuration is not taken:\n{people}");
    } else {
        tracing::error!(reload = number, "the configuration is not taken: {refusal}");
    }
}

/// Registers what is counted of configurations.
pub(super) fn reloads(metrics: &Metrics, hash: u64, config: &Config) -> Reloads {
    let reloads = Reloads::new(metrics);
    reloads.show(hash, &config.service.role);
    reloads
}
