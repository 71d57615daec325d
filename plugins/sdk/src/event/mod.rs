//! What flows: a batch of undecoded events, and the views that read and edit one event of it.

mod batch;
mod chain;
mod edit;
mod entry;
mod fingerprint;
mod origin;
mod overlay;
mod path;
mod tag;
mod time;

pub use batch::{Batch, Group, Piece};
pub use chain::{Applied, Chain, FilterCount, Walk};
pub use edit::{Edit, Fate, Fields};
pub use entry::{Entries, RawEvent, event_header, write_event};
pub use fingerprint::{Answers, DIGEST_LEN, Fingerprint, Session};
pub use origin::Origin;
pub use path::{FieldPath, PathError};
pub use tag::{TAG_LEN_MAX, Tag};
pub use time::Time;
