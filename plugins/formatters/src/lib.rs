//! The shelf of formatters: one module per formatter.

pub mod csv;
pub mod json;
pub mod ltsv;
pub mod msgpack;
pub mod out_file;
pub mod single_value;
pub mod stdout;
pub mod tsv;

mod stamp;
#[cfg(test)]
mod testing;
mod text;

pub use stamp::{Stamping, TimeType};
