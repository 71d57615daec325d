//! Fuzz targets of the forward protocol: what they try, and what they hold it to.
//!
//! The library has no engine in it; the programs in `src/bin` add libFuzzer.

pub mod handshake;
pub mod packed;
pub mod protocol;
