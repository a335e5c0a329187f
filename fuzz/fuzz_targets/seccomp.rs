//! `linux.seccomp`: from bytes to a filter, which is checked and run as the kernel would.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| barge_runtime::fuzzing::seccomp(bytes));
