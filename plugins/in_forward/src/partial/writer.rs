//! The thread that writes the journal: what waits is written together and synced once, and then the shares are met.

use std::{io, path::Path, sync::Arc, thread};

use sdk::{RunError, obligation::Obligation};
use tokio::sync::mpsc;

use super::journal::{Found, Journal, Note};
use crate::report::Report;

/// Orders that may wait.
const ORDERS_MAX: usize = 256;
/// Orders that are written together at most.
const TOGETHER_MAX: usize = 256;

/// What is to be noted, and whom to tell.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) notes: Vec<Note>,
    /// Met when the notes are on disk.
    pub(super) dues: Vec<Obligation>,
}

#[derive(Debug)]
enum Call {
    Write(Order),
    Close,
}

/// The way to the thread.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    calls: mpsc::Sender<Call>,
}

impl Writer {
    /// Opens the journal in this directory and starts the thread.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub(super) async fn open(
        dir: &Path,
        report: Arc<Report>,
    ) -> Result<(Self, Ending, Found), RunError> {
        let failed = |what: &str, source| RunError::Io {
            what: format!("{what} {}", dir.display()),
            source,
        };
        let path = dir.to_owned();
        let opened = tokio::task::spawn_blocking(move || Journal::open(&path)).await;
        let (journal, found) = opened
            .map_err(io::Error::other)
            .flatten()
            .map_err(|source| failed("open the journal of partial messages in", source))?;
        let (calls, waiting) = mpsc::channel(ORDERS_MAX);
        let thread = thread::Builder::new()
            .name("partial-journal".to_owned())
            .spawn(move || write(journal, waiting, &report))
            .map_err(|source| failed("start the thread of the journal in", source))?;
        Ok((Self { calls }, Ending(thread), found))
    }

    /// Hands an order on. When the thread is gone its shares are dropped unmet.
    pub(super) async fn order(&self, order: Order) {
        drop(self.calls.send(Call::Write(order)).await);
    }

    /// Lets the thread end after everything that was ordered.
    pub(super) async fn close(&self) {
        drop(self.calls.send(Call::Close).await);
    }
}

/// The end of the thread.
#[derive(Debug)]
pub(super) struct Ending(thread::JoinHandle<()>);

impl Ending {
    /// Waits for it.
    pub(super) async fn wait(self) {
        // Its panic, if any, was said by the panic hook; there is nothing left to be done here.
        drop(tokio::task::spawn_blocking(move || self.0.join()).await);
    }
}

fn write(mut journal: Journal, mut waiting: mpsc::Receiver<Call>, report: &Report) {
    let mut is_open = true;
    while is_open && let Some(first) = waiting.blocking_recv() {
        let (mut notes, mut dues) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(call) = next {
            match call {
                Call::Write(order) => {
                    notes.extend(order.notes);
                    dues.extend(order.dues);
                }
                Call::Close => is_open = false,
            }
            next = (is_open && notes.len() < TOGETHER_MAX)
                .then(|| waiting.try_recv().ok())
                .flatten();
        }
        match journal.note(notes) {
            Ok(()) => dues.into_iter().for_each(Obligation::meet),
            // The shares are dropped unmet: their senders send again.
            Err(error) => report.partial_journal(&error),
        }
    }
    if let Err(error) = journal.close() {
        report.partial_journal(&error);
    }
}
