//! Black-box tests: the built `weir` is started and spoken to from outside, one module per capability.
#![expect(clippy::float_cmp, reason = "metrics are counts in floats, and must be exact")]

mod cli;
mod delivery;
mod elasticsearch;
mod harness;
mod hostile;
mod manuals;
mod probes;
mod recovery;
mod senders;
