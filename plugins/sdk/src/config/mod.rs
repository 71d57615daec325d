//! Types of configuration values. Each parses, checks and describes itself, so that `weir check`, the
//! manual and the running plugin cannot differ.

mod duration;
mod error;
mod format;
mod listen;
mod one_or_many;
mod pattern;
mod secret;
mod size;
mod template;
mod zone;

pub use duration::Interval;
pub use error::{ConfigError, ConfigErrors, parse};
pub use format::check as check_format;
pub use listen::Listen;
pub use one_or_many::OneOrMany;
pub use pattern::Pattern;
pub use secret::Secret;
pub use size::Size;
pub use template::{EventView, Template, TemplateError};
pub use zone::Zone;
