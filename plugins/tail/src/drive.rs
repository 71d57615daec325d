//! Runs an engine in an input: emits what was read, and moves positions as receipts resolve.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant as WallInstant},
};

use sdk::{
    RunError,
    event::Batch,
    input::InputCx,
    obligation::{Obligation, Receipt},
    stop::Stop,
};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep, sleep_until},
};

use crate::{Chunk, Decode, Engine, Pass, Ticket, counters::Counters};

type Settled = (Ticket, bool);

/// Answers of receipts that may wait to be looked at; more of them wait where they are.
const RECEIPTS: usize = 256;

/// Follows files until `stop` is given, and then until the receipts of what was emitted have resolved.
///
/// # Errors
/// When positions cannot be read, or a pass has failed.
pub async fn run<D: Decode>(engine: Engine<D>, cx: InputCx, stop: Stop) -> Result<(), RunError> {
    let (settled, receipts) = channel(RECEIPTS);
    let mut driver = Driver {
        next_positions: Instant::now() + engine.settings.positions_interval,
        counters: Arc::clone(&engine.counters),
        paused: Paused::default(),
        engine: Some(engine),
        cx,
        stop,
        settled,
        receipts,
        open: 0,
        storing: None,
    };
    driver.with(|engine| engine.load(Instant::now())).await??;
    driver.cx.ready.set("following files");
    while !driver.stop.is_stopped() {
        let pass = driver.pass().await?;
        let is_busy = pass.is_busy;
        for chunk in pass.chunks {
            driver.emit(chunk).await?;
        }
        driver.store_positions();
        if !is_busy {
            driver.rest().await;
        }
    }
    driver.finish().await
}

struct Driver<D: Decode> {
    /// Away while a thread works with it.
    engine: Option<Engine<D>>,
    counters: Arc<Counters>,
    cx: InputCx,
    stop: Stop,
    settled: Sender<Settled>,
    receipts: Receiver<Settled>,
    /// Receipts that have not resolved.
    open: usize,
    next_positions: Instant,
    storing: Option<JoinHandle<io::Result<()>>>,
    paused: Paused,
}

/// Counts whole seconds of waiting.
#[derive(Debug, Default)]
struct Paused {
    millis: u128,
}

impl<D: Decode> Driver<D> {
    /// Lets a thread work with the engine, which reads files.
    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Engine<D>) -> T + Send + 'static,
    ) -> Result<T, RunError> {
        let gone = || RunError::Other("following files has failed before".into());
        let mut engine = self.engine.take().ok_or_else(gone)?;
        let (engine, result) = spawn_blocking(move || {
            let result = work(&mut engine);
            (engine, result)
        })
        .await
        .map_err(|error| RunError::Other(format!("following files failed: {error}")))?;
        self.engine = Some(engine);
        Ok(result)
    }

    async fn pass(&mut self) -> Result<Pass, RunError> {
        while let Ok(settled) = self.receipts.try_recv() {
            self.settle(settled);
        }
        self.with(|engine| engine.pass(Instant::now())).await
    }

    fn settle(&mut self, (ticket, is_stored): Settled) {
        self.open -= 1;
        if let Some(engine) = &mut self.engine {
            engine.settle(ticket, is_stored, Instant::now());
        }
    }

    /// Emits a chunk. While it waits to be admitted, positions move and files are looked at.
    async fn emit(&mut self, chunk: Chunk) -> Result<(), RunError> {
        let Chunk {
            ticket,
            tag,
            events,
            count,
        } = chunk;
        let (due, receipt) = Obligation::new();
        let (cx, stop) = (self.cx.clone(), self.stop.clone());
        self.open += 1;
        let admission = async {
            let permit = cx.budget.take(events.len()).await;
            let mut batch = Batch::new(tag, events, count, due);
            batch.permit = Some(Arc::new(permit));
            cx.emit.emit(batch).await
        };
        tokio::pin!(admission);
        loop {
            tokio::select! {
                biased;
                result = &mut admission => {
                    if let Err(error) = &result {
                        tracing::warn!(input = %cx.id, %error, "lines were refused; they are read again");
                    }
                    self.forward(ticket, receipt);
                    break;
                }
                () = stop.stopped() => {
                    // It was not admitted, so its positions stay where they are.
                    self.forward(ticket, receipt);
                    break;
                }
                Some(settled) = self.receipts.recv() => self.settle(settled),
                () = sleep(Duration::from_millis(200)) => {
                    self.with(|engine| engine.look(Instant::now())).await?;
                }
            }
            self.store_positions();
        }
        Ok(())
    }

    /// Sends the answer of a receipt to where it is waited for.
    fn forward(&self, ticket: Ticket, receipt: Receipt) {
        let settled = self.settled.clone();
        tokio::spawn(async move {
            let is_stored = receipt.await.is_ok();
            if settled.send((ticket, is_stored)).await.is_err() {
                tracing::debug!("a receipt came after the input had ended");
            }
        });
    }

    /// Waits for what comes first: a receipt, a stop, or the time for the next look.
    async fn rest(&mut self) {
        let until = Instant::now()
            + self
                .engine
                .as_ref()
                .map_or(Duration::ZERO, |engine| engine.settings.poll_interval);
        let was_full = self.engine.as_ref().is_some_and(Engine::is_full);
        self.counters.paused.set(i64::from(was_full));
        let (stop, began) = (self.stop.clone(), WallInstant::now());
        let first = tokio::select! {
            () = stop.stopped() => return,
            () = sleep_until(until) => {
                if was_full {
                    self.paused.add(began.elapsed(), &self.counters);
                }
                return;
            }
            Some(settled) = self.receipts.recv() => settled,
        };
        self.settle(first);
        if was_full {
            return;
        }
        // Room was not what was missing: there is nothing to read before the next look.
        loop {
            tokio::select! {
                () = stop.stopped() => return,
                () = sleep_until(until) => return,
                Some(settled) = self.receipts.recv() => self.settle(settled),
            }
        }
    }

    /// Writes positions in the background, when they are due and the last write has ended.
    fn store_positions(&mut self) {
        if self
            .storing
            .as_ref()
            .is_some_and(|storing| !storing.is_finished())
        {
            return;
        }
        let now = Instant::now();
        if now < self.next_positions {
            return;
        }
        let Some(engine) = &mut self.engine else {
            return;
        };
        self.next_positions = now + engine.settings.positions_interval;
        if let Some(text) = engine.take_positions() {
            let (positions, id) = (engine.positions(), Arc::clone(&self.cx.id));
            self.storing = Some(spawn_blocking(move || {
                let result = positions.store(&text);
                if let Err(error) = &result {
                    tracing::error!(input = %id, %error, "positions cannot be written; lines will come again after a restart");
                }
                result
            }));
        }
    }

    /// Waits for the receipts and writes the last positions.
    async fn finish(mut self) -> Result<(), RunError> {
        while self.open > 0 {
            let Some(settled) = self.receipts.recv().await else {
                break;
            };
            self.settle(settled);
            self.store_positions();
        }
        if let Some(storing) = self.storing.take() {
            // What went wrong was logged, and is written again below.
            drop(storing.await);
        }
        self.with(|engine| {
            engine.positions_failed();
            engine
                .take_positions()
                .map_or(Ok(()), |text| engine.store_positions(&text))
        })
        .await?
        .map_err(|source| RunError::Io {
            what: "write positions".into(),
            source,
        })
    }
}

impl Paused {
    fn add(&mut self, waited: Duration, counters: &Counters) {
        self.millis += waited.as_millis();
        let seconds = self.millis / 1_000;
        self.millis %= 1_000;
        counters
            .paused_seconds
            .inc_by(u64::try_from(seconds).unwrap_or(u64::MAX));
    }
}
