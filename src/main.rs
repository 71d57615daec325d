//! The `weir` binary.

use std::process::ExitCode;

/// Gives memory back soon after a burst; the one of the C library keeps it, on each thread anew (decision 13).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    weir::cli::main(live_heap)
}

/// Bytes that the allocator gave out and has not got back.
fn live_heap() -> Option<usize> {
    tikv_jemalloc_ctl::epoch::advance().ok()?;
    tikv_jemalloc_ctl::stats::allocated::read().ok()
}
