//! The runtime on the real kernel: root, a busybox root filesystem, real cgroups and namespaces.
//!
//! Every test has a bundle of its own (`bundle.rs`), removed with all it made when the test ends.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

mod absent;
mod at_once;
mod attacks;
mod attributes;
mod bundle;
mod cgroups;
mod checkpoint;
mod checkpoint_kinds;
mod checkpoint_refusal;
mod command_line;
mod devices;
mod errors;
mod exec;
#[cfg(target_arch = "x86_64")]
mod faults;
mod foreground;
mod groups;
mod hardship;
mod hidden;
mod hooks;
mod identity;
mod lifecycle;
mod limits;
mod mount_namespaces;
mod mount_options;
mod mounts;
mod namespaces;
mod odd_names;
mod overlay;
mod pid_one;
mod rootless;
mod seccomp;
mod seccomp_notify;
mod spec;
mod systemd;
mod terminal;
mod unified;
mod user_namespaces;
