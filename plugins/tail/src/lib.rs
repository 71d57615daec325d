//! Following files: what the inputs `tail` and `kubernetes_logs` share. No plugin by itself.
//!
//! An [`Engine`] holds a [stream](Decode::Stream) for each watched path. A stream is a row of files, oldest first: those
//! that rotation has moved away and that are not read to their end yet, and the live one. Files are known by device,
//! inode and a print of their first bytes, so that a rename, a copy, a compressed copy and a reused inode are told
//! apart. [`run`] drives an engine in an input: it emits what was read, and moves a position when the receipt resolves.

mod counters;
mod decode;
mod disk;
mod done;
mod drive;
mod engine;
mod generation;
mod globs;
mod gzip;
mod identity;
mod limits;
mod lines;
mod pos_file;
mod positions;
mod reading;
mod reconcile;
mod scan;
mod settings;
mod siblings;
mod stream;
#[cfg(test)]
mod tests;

pub use counters::Counters;
pub use decode::{Decode, Events, Opened, Place, Places};
pub use drive::run;
pub use engine::{Chunk, Engine, Pass, Ticket};
pub use globs::{Globs, GlobsError};
pub use limits::{Allowance, GroupLimits, GroupRule};
pub use lines::Eol;
pub use settings::{OversizeAction, Retention, Settings};
