//! What is measured and said: the ledger and our own log.

#[cfg(feature = "defects")]
pub mod defects;
pub mod ledger;
mod limit;
pub mod log;
