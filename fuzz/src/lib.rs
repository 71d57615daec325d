//! Fuzz targets of the forward protocol: what they try, and what they hold it to.
//!
//! The library has no engine in it: its tests replay the corpus. The programs in `src/bin` add libFuzzer, and
//! `cargo xtask fuzz` runs them. A check panics when something is wrong, which is what the engine waits for.

mod dice;
mod drive;
mod encode;
mod grammar;
pub mod handshake;
mod mutate;
mod outcome;
pub mod packed;
pub mod protocol;
mod reader;
mod rules;
pub mod seeds;

#[cfg(test)]
mod tests;
