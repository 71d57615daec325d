//! The `weir` binary.

use std::process::ExitCode;

/// Gives memory back soon after a burst; the one of the C library keeps it, on each thread anew (decision 13).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    weir::cli::main()
}
