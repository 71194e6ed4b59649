//! The target `token` for cargo-fuzz; what it holds is in `targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| scrapehook_fuzz::token(data));
