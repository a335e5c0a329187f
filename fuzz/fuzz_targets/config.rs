//! `config.json` and the process file of `exec`: from bytes to a plan, control files and device rules.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| barge_runtime::fuzzing::config(bytes));
