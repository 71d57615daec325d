//! What is measured and said: the ledger and our own log.

#[cfg(feature = "defects")]
pub mod defects;
mod escape;
pub mod ledger;
mod limit;
pub mod log;
pub mod process;
