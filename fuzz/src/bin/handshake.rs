//! Searches for inputs that the oracle of `handshake` objects to.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::handshake::check(data));
