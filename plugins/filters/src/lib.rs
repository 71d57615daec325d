//! The shelf of filters: one module per filter.

pub mod grep;
pub mod record_transformer;
