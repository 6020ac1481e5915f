#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| av_fuzz_bodies::link(input));
