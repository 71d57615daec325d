//! Runs the tidy rules as an ordinary test, so that `cargo test` alone finds what `cargo xtask tidy` finds.
