//! The shim against the real kernel: a busybox root filesystem, a real shim process, real cgroups.
//!
//! The tests need root. Each has its own bundle and cgroup and takes them away again, also when it fails.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may end with a panic and say what it measured"
)]

mod attach;
mod container;
mod exec;
mod life;
mod logs;
mod reconnect;
mod terminal;
