//! Thin safe wrappers over Linux: the only crate with unsafe code.

pub mod bpf;
pub mod file;
pub mod inherited;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod netns;
pub mod overlay;
pub mod process;
pub mod scheduling;
pub mod seccomp;
pub mod signal;
pub mod socket;
