//! Mounts: destination, type, source and options as lines of text, to a plan.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| barge_runtime::fuzzing::mounts(bytes));
