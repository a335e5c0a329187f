//! The shim against the real kernel: a busybox root filesystem, a real shim process, real cgroups.
//!
//! The tests need root. Each has its own bundle and cgroup and takes them away again, also when it fails.

mod attach;
mod container;
mod exec;
mod life;
mod logs;
mod reconnect;
mod terminal;
