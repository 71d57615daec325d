//! The shelf of filters: one module per filter.

pub mod concat;
pub mod correlation;
pub mod dedot;
pub mod detect_exceptions;
pub mod elasticsearch_genid;
pub mod flatten;
pub mod grep;
pub mod nest;
pub mod parser;
pub mod record_transformer;
pub mod rewrite_tag;
pub mod stdout;
pub mod throttle;

mod lines;
mod names;
