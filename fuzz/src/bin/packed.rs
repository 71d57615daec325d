//! Searches for inputs that the oracle of `packed` objects to.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::packed::check(data));
