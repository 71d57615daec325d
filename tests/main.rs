//! Black-box tests: the built `weir` is started and spoken to from outside, one module per capability.
#![expect(
    clippy::float_cmp,
    reason = "metrics are counts in floats, and must be exact"
)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "everything here is a test, and a test that fails may panic"
)]

mod balance;
mod cat;
mod cli;
mod connections;
mod delivery;
mod elasticsearch;
mod harness;
mod hostile;
mod kills;
mod manuals;
mod partial;
mod passthrough;
mod peers;
mod probes;
mod recovery;
mod relay;
mod repeats;
mod senders;
