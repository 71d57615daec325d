//! Records to another router, through an output plugin that is handed in: from a stream of bytes for `weir cat`
//! ([`run`]), and messages that are ready ([`deliver`]) for commands that send what was kept.
//!
//! A thread of its own reads, since reading may block for ever. What it has read goes out at once; what comes while that
//! is under way goes together next. So a pipe that stays open needs no timer, and a file goes in large messages.

mod error;
mod read;
mod send;

use std::{io::Read, sync::Arc, thread};

use bytes::Bytes;
use sdk::{
    config::ConfigErrors,
    event::Tag,
    output::Output,
    plugin::{Build, BuildCx, Descriptor},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::{Receiver, Sender, channel},
};

pub use error::{BadInput, CatError};
pub use read::{Format, Reading};
use read::{Piece, Reader};
pub use send::{Again, Counts, Message};
use send::{Courier, Trying};

/// Bytes that are read at once.
const READ_LEN: usize = 256 << 10;
/// Pieces that may wait while others are under way.
const PIECES_MAX: usize = 8;
/// A message takes no further pieces from this size on, in bytes. Fluent Bit takes 6 MB by default.
const MESSAGE_LEN: usize = 4 << 20;

/// What is to be done.
pub struct Job {
    /// Delivers the records.
    pub output: Arc<dyn Output>,
    /// The tag of every record.
    pub tag: Tag,
    /// How bytes become records.
    pub reading: Reading,
    /// How often a message is tried again. `None` means 5 times once something has arrived, and never before: then
    /// it is more likely that the arguments are wrong.
    pub retry_limit: Option<u32>,
}

/// Builds the output from its table. No input or output happens here.
///
/// # Errors
/// What the plugin says of the table.
pub fn output(
    descriptor: &Descriptor,
    params: serde_json::Value,
    cx: &BuildCx,
) -> Result<Arc<dyn Output>, ConfigErrors> {
    match descriptor.build {
        Build::Output(build, _) => build(params, cx),
        _ => Err(Vec::new()),
    }
}

/// Sends everything that `input` holds until its end, the first record that is none, or SIGINT or SIGTERM, which end the
/// input. `again` is told before a message is tried again. Blocks.
///
/// # Errors
/// The first [`CatError`]. What was read before it has been sent, unless sending is what failed.
pub fn run(
    job: Job,
    input: impl Read + Send + 'static,
    again: impl FnMut(Again<'_>),
) -> (Counts, Result<(), CatError>) {
    let mut courier = Courier::new(job.output, again);
    let trying = Trying {
        retry_limit: job.retry_limit,
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return (courier.counts, Err(error)),
    };
    let (sender, pieces) = channel(PIECES_MAX);
    // Not one of the runtime's threads: those are waited for, and this one may never come back.
    thread::spawn(move || pump(input, job.reading, &sender));
    let ended = runtime.block_on(carry(&mut courier, &job.tag, trying, pieces));
    (courier.counts, ended)
}

/// Sends messages, one after the other, until the first that does not arrive. SIGINT or SIGTERM ends it behind the
/// message that is under way, and a second one at once. Blocks.
///
/// # Errors
/// The first [`CatError`]: what was not counted as arrived may have arrived or not.
pub fn deliver(
    output: Arc<dyn Output>,
    retry_limit: Option<u32>,
    messages: impl IntoIterator<Item = Message>,
    again: impl FnMut(Again<'_>),
) -> (Counts, Result<(), CatError>) {
    let mut courier = Courier::new(output, again);
    let trying = Trying { retry_limit };
    let ended = runtime().and_then(|runtime| {
        runtime.block_on(async {
            let mut signals = Signals::listen().map_err(CatError::Start)?;
            let mut is_ending = false;
            for message in messages {
                if is_ending {
                    return Err(CatError::Interrupted);
                }
                bring(&mut courier, message, trying, &mut signals, &mut is_ending).await?;
            }
            Ok(())
        })
    });
    (courier.counts, ended)
}

fn runtime() -> Result<tokio::runtime::Runtime, CatError> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().map_err(CatError::Start)
}

/// Brings one message. A signal meanwhile is noted, a second one ends waiting.
async fn bring(
    courier: &mut Courier<impl FnMut(Again<'_>)>,
    message: Message,
    trying: Trying,
    signals: &mut Signals,
    is_ending: &mut bool,
) -> Result<(), CatError> {
    let mut sending = std::pin::pin!(courier.send(message, trying));
    loop {
        tokio::select! {
            sent = &mut sending => return sent,
            () = signals.next() => {
                if *is_ending {
                    return Err(CatError::Interrupted);
                }
                *is_ending = true;
            }
        }
    }
}

/// Reads until the end, an error, or nobody wants more.
fn pump(mut input: impl Read, reading: Reading, sender: &Sender<Result<Piece, CatError>>) {
    let mut reader = Reader::new(reading);
    let mut space = vec![0; READ_LEN];
    loop {
        let mut piece = Piece::default();
        let (read, is_end) = match input.read(&mut space) {
            Ok(0) => (reader.end(&mut piece), true),
            Ok(len) => {
                let bytes = space.get(..len).unwrap_or_default();
                (reader.take(bytes, &mut piece), false)
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                drop(sender.blocking_send(Err(CatError::Read(error))));
                return;
            }
        };
        if piece.count > 0 && sender.blocking_send(Ok(piece)).is_err() {
            return;
        }
        if let Err(bad) = read {
            // The other side ends only after it has taken this, or for a reason of its own.
            drop(sender.blocking_send(Err(bad.into())));
            return;
        }
        if is_end {
            return;
        }
    }
}

/// Hands what was read to the output, in order.
async fn carry(
    courier: &mut Courier<impl FnMut(Again<'_>)>,
    tag: &Tag,
    trying: Trying,
    mut pieces: Receiver<Result<Piece, CatError>>,
) -> Result<(), CatError> {
    let mut signals = Signals::listen().map_err(CatError::Start)?;
    let mut is_ending = false;
    loop {
        let first = tokio::select! {
            first = pieces.recv() => first,
            () = signals.next(), if !is_ending => {
                is_ending = true;
                pieces.close();
                continue;
            }
        };
        let Some(first) = first else { return Ok(()) };
        let mut message = first?;
        let mut trouble = None;
        while message.events.len() < MESSAGE_LEN {
            match pieces.try_recv() {
                Ok(Ok(piece)) => message.join(&piece),
                Ok(Err(error)) => trouble = Some(error),
                Err(_) => break,
            }
        }
        let message = Message {
            tag: tag.clone(),
            events: Bytes::from(message.events),
            count: message.count,
        };
        let was_ending = is_ending;
        bring(courier, message, trying, &mut signals, &mut is_ending).await?;
        if is_ending && !was_ending {
            pieces.close();
        }
        if let Some(error) = trouble {
            return Err(error);
        }
    }
}

/// The signals that end the input; the second one ends waiting, too.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests;
