//! Types of configuration values. Each parses, checks and describes itself, so that `weir check`, the
//! manual and the running plugin cannot differ.
//!
//! The schema of a `Config` may say two things that JSON Schema has no word for:
//! `#[schemars(extend("aliases" = ["index_name"]))]` gives a parameter other names, which the checker turns into
//! the one of the field (so serde needs no `alias`), and `#[schemars(extend("exclusive" = true))]` forbids two
//! components of one kind the same value, such as the file that they write. Where a message has the form
//! `what is wrong; what to write`, the second half is shown as the remedy.

mod chunk_key;
mod duration;
mod error;
mod format;
mod inner;
mod listen;
mod one_or_many;
mod pattern;
mod secret;
mod size;
mod template;
mod zone;

pub use chunk_key::ChunkKey;
pub use duration::Interval;
pub use error::{ConfigError, ConfigErrors, parse};
pub use format::check as check_format;
pub use inner::{FormatterTable, ParserTable};
pub use listen::Listen;
pub use one_or_many::OneOrMany;
pub use pattern::Pattern;
pub use secret::Secret;
pub use size::Size;
pub use template::{EventView, Template, TemplateError};
pub use zone::Zone;
