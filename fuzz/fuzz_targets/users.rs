//! A container's passwd and group files, and who is looked up in them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| barge_runtime::fuzzing::users(bytes));
