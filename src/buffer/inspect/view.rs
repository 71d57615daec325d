//! What an inspection tells: sizes, segments, and damage.

/// Frames, their records and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Frames.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// One segment.
#[derive(Debug, Default)]
pub struct SegmentView {
    /// Its file.
    pub name: String,
    /// Length of the file in bytes, when it was looked at.
    pub bytes: u64,
    /// When it was made, in milliseconds since 1970; `None` when its header is damaged.
    pub created_ms: Option<u64>,
    /// It has an end frame.
    pub is_sealed: bool,
    /// Frames that are to be delivered.
    pub held: Tally,
    /// Frames that are done.
    pub done: Tally,
    /// Pieces of messages that are not complete: the next start discards them.
    pub open: Tally,
    /// When the oldest frame that is held was stored, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
    /// What is damaged.
    pub damage: Vec<DamageView>,
    /// Bytes at its end of a write that was cut off, or that is going on.
    pub cut_bytes: u64,
    pub(super) first: u64,
    pub(super) salt: Option<u32>,
}

/// Bytes that are no frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamageView {
    /// Where they begin in the file.
    pub offset: u64,
    /// How many they are.
    pub bytes: u64,
    /// What they are, for people.
    pub what: String,
    /// Records that were in them and not done; `None` when that cannot be told.
    pub records: Option<u64>,
    /// A copy of them is in quarantine.
    pub is_copied: bool,
}

impl Tally {
    pub(super) fn add(&mut self, more: Self) {
        self.frames += more.frames;
        self.records += more.records;
        self.bytes += more.bytes;
    }
}

impl SegmentView {
    pub(super) fn hold(&mut self, size: Tally, stored_ms: u64) {
        self.held.add(size);
        self.oldest_ms = Some(
            self.oldest_ms
                .map_or(stored_ms, |oldest| oldest.min(stored_ms)),
        );
    }

    pub(super) fn all_damaged(&mut self, what: &str) {
        self.damage.push(DamageView {
            offset: 0,
            bytes: self.bytes,
            what: what.to_owned(),
            records: None,
            is_copied: false,
        });
    }
}
