//! The reading half of a connection: bytes to messages, messages to batches.

use std::{io, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use forward_protocol::{Chunk, Decoder, EntryStream, Message, Part, Step};
use sdk::{
    budget::Budget,
    event::{Batch, Fingerprint, Group, Origin, Piece, Tag},
    obligation::{Obligation, Receipt},
    stop::Stop,
};
use tokio::{
    io::AsyncRead,
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{
    additions::Additions,
    answer::Due,
    peer::Peer,
    reading::read,
    repeats::Repeats,
    room::Room,
    source::{End, Source},
};

/// Memory of the connection is given back after this silence.
const RELAX_AFTER: Duration = Duration::from_secs(5);
/// How long a message that is arriving may take to end when the input stops.
const STOP_PATIENCE: Duration = Duration::from_secs(3);
/// How long a message may stand still while it occupies memory beyond the budget, and others wait for it.
const URGENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long such a message, or a piece of it, may take in all.
const URGENT_PATIENCE: Duration = Duration::from_secs(30);
/// The part of the budget that one connection may occupy at most.
const SHARE: usize = 4;
/// Bytes that one connection may have taken in and not yet stored: enough to keep a disk busy.
const SHARE_BYTES_MAX: usize = 16 << 20;

/// A message of which pieces were emitted.
struct Open {
    group: Arc<Group>,
    due: Obligation,
    receipt: Receipt,
    /// Records in the pieces so far.
    records: u32,
}

/// The state of reading one connection.
pub(crate) struct Intake<'a> {
    source: &'a Source,
    peer: &'a Peer,
    additions: Option<Additions>,
    stop: Stop,
    decoder: Decoder,
    room: Room,
    /// Bounds what waits to be stored, by bytes; the channel bounds the messages that wait by number.
    share: Budget,
    dues: mpsc::Sender<Due>,
    /// With `duplicate_window`: what makes messages recognisable.
    repeats: Option<Repeats>,
    open: Option<Open>,
    /// The last tag that came, and what it became.
    last_tag: Option<(Tag, Tag)>,
    had_message: bool,
    /// When reading ends for good, once the input stops.
    stops_at: Option<Instant>,
}

impl<'a> Intake<'a> {
    /// At the beginning of a connection.
    pub(crate) fn new(
        source: &'a Source,
        peer: &'a Peer,
        additions: Option<Additions>,
        stop: Stop,
        dues: mpsc::Sender<Due>,
        repeats: Option<Repeats>,
    ) -> Self {
        let budget = source.cx.budget.clone();
        let share = (budget.limit_bytes() / SHARE).min(SHARE_BYTES_MAX);
        let decoder = Decoder::new(source.settings.limits, source.cx.clock.clone());
        Self {
            decoder: decoder.taking_any_tag(!source.settings.skip_invalid_event),
            additions,
            room: Room::new(budget),
            share: Budget::new(share),
            source,
            peer,
            stop,
            dues,
            repeats,
            open: None,
            last_tag: None,
            had_message: false,
            stops_at: None,
        }
    }

    /// Takes what was read before.
    pub(crate) fn push(&mut self, early: &[u8]) {
        self.decoder.push(early);
    }

    /// Reads until there is a reason to end.
    pub(crate) async fn run<R: AsyncRead + Unpin>(mut self, reader: &mut R) -> End {
        loop {
            if let Err(end) = self.step(reader).await {
                if let (End::Closed, Some(repeats)) = (&end, &self.repeats) {
                    repeats.end();
                }
                return end;
            }
        }
    }

    async fn step<R: AsyncRead + Unpin>(&mut self, reader: &mut R) -> Result<(), End> {
        match self.decoder.poll()? {
            Step::Read => self.read(reader).await,
            Step::Pause => {
                self.room.cover(self.decoder.held_bytes()).await;
                tokio::task::yield_now().await;
                Ok(())
            }
            Step::Stray => {
                self.source.report.stray(self.peer);
                Ok(())
            }
            Step::Part(part) => self.part(part).await,
            Step::Message(message) => self.message(message).await,
        }
    }

    /// Reads once. While nothing comes, memory is given back, and silence has its limits.
    async fn read<R: AsyncRead + Unpin>(&mut self, reader: &mut R) -> Result<(), End> {
        self.room.cover(self.decoder.held_bytes()).await;
        let is_between = self.decoder.is_between_messages();
        self.check_end(is_between)?;
        if self.stops_at.is_some() {
            // With a fresh budget of the runtime a read only waits when nothing is there.
            tokio::task::yield_now().await;
        }
        let urgent_since = self.room.urgent_since();
        let settings = &self.source.settings;
        let limit = match is_between {
            true => settings.idle_timeout,
            false if urgent_since.is_some() => Some(settings.message_timeout.min(URGENT_TIMEOUT)),
            false => Some(settings.message_timeout),
        };
        let begun = Instant::now();
        let gives_up = limit.map(|limit| begun + limit);
        let mut relaxes_at = Some(begun + RELAX_AFTER);
        loop {
            let wakes = [relaxes_at, gives_up, self.stops_at.filter(|_| !is_between)]
                .into_iter()
                .flatten()
                .min();
            let is_stopping = self.stops_at.is_some();
            let woken = async move {
                match wakes {
                    // What the kernel holds is still taken, but nothing is waited for.
                    _ if is_stopping && is_between => {}
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                read = read(reader, &mut self.decoder) => {
                    return match read {
                        // TLS that is not closed as it should be: messages tell themselves where they end.
                        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error.into()),
                        Ok(0) | Err(_) => Err(self.decoder.finish().map_or_else(End::Protocol, |()| End::Closed)),
                        Ok(_) => Ok(()),
                    };
                }
                () = self.stop.stopped(), if !is_stopping => self.stops_at = Some(Instant::now() + STOP_PATIENCE),
                () = woken => {
                    if is_stopping && (is_between || self.stops_at.is_some_and(|at| at <= Instant::now())) {
                        return Err(End::Stopped);
                    }
                    if let Some(limit) = limit.filter(|limit| begun.elapsed() >= *limit) {
                        return Err(End::Silent(limit));
                    }
                    self.decoder.relax();
                    relaxes_at = None;
                }
            }
        }
    }

    /// Reasons to end before another read.
    fn check_end(&self, is_between: bool) -> Result<(), End> {
        let now = Instant::now();
        if is_between && self.had_message && self.source.settings.deny_keepalive {
            return Err(End::KeepaliveDenied);
        }
        if self.stops_at.is_some_and(|at| at <= now) {
            return Err(End::Stopped);
        }
        match self.room.urgent_since().map(|since| now - since) {
            Some(urgent) if urgent > URGENT_PATIENCE => Err(End::Silent(urgent)),
            _ => Ok(()),
        }
    }

    /// A piece of a large message: emitted at once, answered with the message.
    async fn part(&mut self, Part { tag, entries }: Part) -> Result<(), End> {
        let tag = self.tag(tag);
        let Open {
            group,
            due,
            records: first,
            ..
        } = self.open.get_or_insert_with(Open::new);
        // The chunk id stands behind the entries: buffers add it when the last piece brings it.
        let origin = Origin {
            chunk: Bytes::new(),
            first: *first,
            kept: None,
            identifies: self.source.settings.identifies,
        };
        let piece = Piece {
            group: Arc::clone(group),
            last: false,
        };
        let due = due.clone();
        let records = entries.count;
        if let Some(repeats) = &mut self.repeats {
            repeats.part(&entries.bytes);
        }
        self.emit(tag, entries, Some(piece), Some(origin), None, due)
            .await?;
        if let Some(open) = &mut self.open {
            open.records += records;
        }
        Ok(())
    }

    /// A message, or the last piece of one.
    async fn message(&mut self, message: Message) -> Result<(), End> {
        self.had_message = true;
        self.report(&message);
        if !self.source.settings.skip_invalid_event
            && message.chunk.is_some()
            && !message.flaws.is_empty()
        {
            return Err(End::Invalid);
        }
        let Message {
            tag,
            entries,
            chunk,
            ..
        } = message;
        let ack = chunk.as_ref().map(Chunk::ack);
        if let (Some(_), Some(repeats)) = (&ack, &self.repeats) {
            repeats.owe();
        }
        let receipt = match (self.open.take(), tag) {
            (
                Some(Open {
                    group,
                    due,
                    receipt,
                    records,
                }),
                Some(tag),
            ) => {
                let piece = Piece { group, last: true };
                self.emit_last(tag, entries, Some(piece), chunk, records, due)
                    .await?;
                Some(receipt)
            }
            (None, Some(tag)) if entries.count > 0 => {
                let (due, receipt) = Obligation::new();
                self.emit_last(tag, entries, None, chunk, 0, due).await?;
                Some(receipt)
            }
            _ => None,
        };
        self.dues
            .send(Due { receipt, ack })
            .await
            .map_err(|_| End::Unanswered)
    }

    async fn emit_last(
        &mut self,
        tag: Tag,
        entries: EntryStream,
        piece: Option<Piece>,
        chunk: Option<Chunk>,
        first: u32,
        due: Obligation,
    ) -> Result<(), End> {
        let origin = chunk.map(|chunk| Origin {
            chunk: chunk.id(),
            first,
            kept: None,
            identifies: self.source.settings.identifies,
        });
        let fingerprint = (self.repeats.as_mut())
            .zip(origin.as_ref())
            .map(|(repeats, origin)| repeats.message(&tag, &origin.chunk, &entries.bytes));
        let tag = self.tag(tag);
        self.emit(tag, entries, piece, origin, fingerprint, due)
            .await
    }

    async fn emit(
        &mut self,
        tag: Tag,
        entries: EntryStream,
        piece: Option<Piece>,
        origin: Option<Origin>,
        fingerprint: Option<Fingerprint>,
        due: Obligation,
    ) -> Result<(), End> {
        // Given back when the bytes are stored, so that a connection never runs far ahead of the disk.
        let share = self.share.take(entries.bytes.len()).await;
        let permit = self.room.hand_on(entries.bytes.len()).await;
        let permit = permit.map(|permit| Arc::new(permit.with_share(share)));
        let EntryStream {
            bytes: events,
            count,
        } = entries;
        let batch = Batch {
            tag,
            events,
            count,
            origin,
            piece,
            fingerprint,
            due,
            permit,
        };
        let batch = match &self.additions {
            Some(additions) => additions.add(batch),
            None => batch,
        };
        if let Some(partial) = &self.source.partial {
            for batch in partial.take(batch).await {
                pin!(self.source.cx.emit.emit(batch)).await?;
            }
            return Ok(());
        }
        Ok(pin!(self.source.cx.emit.emit(batch)).await?)
    }

    /// The tag as configured.
    fn tag(&mut self, came: Tag) -> Tag {
        let settings = &self.source.settings;
        if settings.keeps_tags() {
            return came;
        }
        match &self.last_tag {
            Some((last, made)) if *last == came => made.clone(),
            _ => {
                let made = settings.tag(&came);
                self.last_tag = Some((came, made.clone()));
                made
            }
        }
    }

    fn report(&self, message: &Message) {
        let report = &self.source.report;
        if !message.flaws.is_empty() {
            report.flaws(&message.flaws, self.peer);
        }
        if message.wire_bytes > self.source.settings.warn_bytes {
            let text = format!(
                "a message of {} bytes is larger than chunk_size_warn_limit",
                message.wire_bytes
            );
            report.warn("chunk_size_warn_limit", self.peer, &text);
        }
    }
}

impl Open {
    fn new() -> Self {
        let (due, receipt) = Obligation::new();
        Self {
            group: Group::next(),
            due,
            receipt,
            records: 0,
        }
    }
}
