//! What is measured and said: the ledger and our own log.

pub mod ledger;
pub mod log;
