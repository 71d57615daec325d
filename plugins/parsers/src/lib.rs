//! The shelf of parsers: one module per parser. What all of them have in common stands in `rules`.

pub mod apache2;
pub mod apache_error;
pub mod cri;
pub mod csv;
pub mod docker;
pub mod json;
pub mod logfmt;
pub mod ltsv;
pub mod msgpack;
pub mod multi_format;
pub mod multiline;
pub mod nginx;
pub mod none;
pub mod regexp;
pub mod syslog;
pub mod tsv;

mod fields;
mod rules;
#[cfg(test)]
mod testing;

pub use rules::{Common, Types};
pub use times::TimeType;
