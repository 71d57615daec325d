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
mod buffers;
mod cat;
mod cli;
mod connections;
mod crash;
mod dead;
mod delivery;
mod elasticsearch;
mod ends;
mod full;
mod grouping;
mod harness;
mod hostile;
mod http;
mod kills;
mod kubernetes;
mod lessons;
mod manuals;
mod matrix;
mod outage;
mod partial;
mod passthrough;
mod peers;
mod picture;
mod postgres;
mod privacy;
mod probes;
mod prometheus;
mod promises;
mod reach;
mod recovery;
mod relay;
mod reload;
mod repeats;
mod secondary;
mod senders;
mod soak;
mod stages;
mod syslog;
mod tail;
mod targets;
mod tracing;
mod traps;
mod unavailable;
