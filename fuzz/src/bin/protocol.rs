//! Searches for inputs that the oracle of `protocol` objects to.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::protocol::check(data));
