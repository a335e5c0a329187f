//! The engine on the real kernel: containers from an image made of `/bin/busybox`, their shims real processes.
//!
//! Needs root. Each test has its own roots and its own cgroup; nothing of the host's network is touched, since all
//! containers run with `--network none`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attach;
mod exec;
mod harness;
mod images;
mod lifecycle;
mod logs;
mod refusals;
mod restart;
mod restore;
