//! The unit of flow: one tag and its event stream.

use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

use crate::{
    budget::Permit,
    event::{Entries, Fingerprint, Origin, Tag},
    obligation::Obligation,
};

/// One tag, its undecoded events, and what is owed to their sender.
///
/// Every batch that an input emits is well formed: `count` entries back to back, each with a valid
/// time and a record that is a map, nested at most [`crate::msgpack::DEPTH_MAX`] deep.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The tag of all its events.
    pub tag: Tag,
    /// Entries back to back, the stream that `PackedForward` carries.
    pub events: Bytes,
    /// Number of entries.
    pub count: u32,
    /// Where the records came from, when the sender named its chunk.
    pub origin: Option<Origin>,
    /// Set when this batch is one of several that become valid together.
    pub piece: Option<Piece>,
    /// What tells that it was stored before, when somebody asked for that. Of pieces, only the last one has it.
    pub fingerprint: Option<Fingerprint>,
    /// Must be met before the sender may be answered. Cloning a batch shares it.
    pub due: Obligation,
    /// The share of the memory budget that the bytes occupy; given back when the last clone is gone.
    pub permit: Option<Arc<Permit>>,
}

impl Batch {
    /// A whole batch without an origin.
    pub fn new(tag: Tag, events: Bytes, count: u32, due: Obligation) -> Self {
        Self {
            tag,
            events,
            count,
            origin: None,
            piece: None,
            fingerprint: None,
            due,
            permit: None,
        }
    }

    /// Its events, one after the other.
    pub fn entries(&self) -> Entries<'_> {
        Entries::new(&self.events)
    }
}

/// A batch that is part of a message too large to be held at once.
///
/// Buffers store pieces as they come and deliver none of them before the last one is stored.
/// Dropping every clone of `group` before the last piece was emitted gives the message up:
/// what was stored of it is discarded.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Shared by the pieces of one message. Buffers hold it weakly.
    pub group: Arc<Group>,
    /// Whether this piece completes the message. It may be empty, and it alone carries the origin's chunk id; the
    /// buffer gives it to the others when it hands them out.
    pub last: bool,
}

/// Identity of a message that arrives in pieces.
#[derive(Debug)]
pub struct Group {
    /// Unique within this process.
    pub id: u64,
    way: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Group {
    /// A new identity.
    pub fn next() -> Arc<Self> {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
            way: OnceLock::new(),
        })
    }

    /// The way that its first piece went, which the others go too. `now` is asked by the first.
    pub fn way<T: Send + Sync + 'static>(&self, now: impl FnOnce() -> Arc<T>) -> Option<Arc<T>> {
        let way = self.way.get_or_init(|| now());
        Arc::clone(way).downcast().ok()
    }
}
