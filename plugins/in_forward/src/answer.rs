//! The answering half of a connection: acknowledgements in the order of the messages, as their receipts resolve.

use std::{collections::VecDeque, fmt, io, time::Duration};

use bytes::Bytes;
use sdk::{
    event::Answers,
    obligation::{Receipt, Unmet},
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
    time::timeout,
};

use crate::report::Report;

/// So many acknowledgements wait for a sender to read them; more are dropped. One that asks for them and does not
/// read them is a client like fluent-logger-node, which always sends chunk ids.
const UNREAD_MAX: usize = 1024;
/// How long the last acknowledgements may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What is owed for one message.
#[derive(Debug)]
pub(crate) struct Due {
    /// Resolves when the message is stored; `None` when there was nothing to store.
    pub(crate) receipt: Option<Receipt>,
    /// What the sender wants to hear then.
    pub(crate) ack: Option<Bytes>,
}

/// Why answering ended before reading did.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// A message was not stored.
    #[error(transparent)]
    Unmet(#[from] Unmet),
    /// The sender cannot be written to.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Answers until the reading half has nothing more to be answered.
///
/// # Errors
/// [`Broken`]: nothing may be acknowledged any more.
pub(crate) async fn answer<W: AsyncWrite + Unpin>(
    writer: &mut W,
    mut dues: mpsc::Receiver<Due>,
    answers: Option<Answers>,
    report: &Report,
    peer: &(dyn fmt::Display + Sync),
) -> Result<(), Broken> {
    let acked = || {
        report.ack();
        if let Some(answers) = &answers {
            answers.written();
        }
    };
    let mut outgoing = Outgoing::default();
    let mut next = None;
    let mut stored = Ok(());
    loop {
        tokio::select! {
            biased;
            written = outgoing.write(writer), if !outgoing.acks.is_empty() => {
                if written? {
                    acked();
                }
            }
            settled = settle(&mut next, &mut dues) => match settled {
                Some(Ok(Due { ack, .. })) => {
                    match ack {
                        Some(_) if outgoing.acks.len() >= UNREAD_MAX => report.ack_dropped(peer),
                        Some(ack) => outgoing.acks.push_back(ack),
                        None => {}
                    }
                }
                Some(Err(unmet)) => {
                    stored = Err(unmet);
                    break;
                }
                None => break,
            },
        }
    }
    let flushed = timeout(LAST_WORDS, async {
        while !outgoing.acks.is_empty() {
            if outgoing.write(writer).await? {
                acked();
            }
        }
        io::Result::Ok(())
    });
    let flushed = flushed.await;
    stored?;
    Ok(flushed.map_err(io::Error::from)??)
}

/// The next message that is stored; `None` when there are no more. Safe to cancel: what waits stays in `next`.
async fn settle(
    next: &mut Option<Due>,
    dues: &mut mpsc::Receiver<Due>,
) -> Option<Result<Due, Unmet>> {
    if next.is_none() {
        *next = Some(dues.recv().await?);
    }
    if let Some(receipt) = next.as_mut().and_then(|due| due.receipt.as_mut())
        && let Err(unmet) = receipt.await
    {
        return Some(Err(unmet));
    }
    next.take().map(Ok)
}

/// Acknowledgements on their way to the socket, each in a write of its own: several clients read once per chunk.
#[derive(Debug, Default)]
struct Outgoing {
    acks: VecDeque<Bytes>,
}

impl Outgoing {
    /// Writes some of the first; whether all of it is written. Safe to cancel.
    async fn write<W: AsyncWrite + Unpin>(&mut self, writer: &mut W) -> io::Result<bool> {
        let Some(first) = self.acks.front_mut() else {
            return Ok(false);
        };
        if !first.is_empty() {
            let written = writer.write(first).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            drop(first.split_to(written.min(first.len())));
        }
        if !first.is_empty() {
            return Ok(false);
        }
        writer.flush().await?;
        self.acks.pop_front();
        Ok(true)
    }
}
