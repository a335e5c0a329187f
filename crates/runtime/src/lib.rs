//! The OCI runtime as a library and a command line: from a specification to a process.
//!
//! ```text
//! Request ──Prepared::new──> Prepared ──create──> Created ──start──> the container's program
//!           plan (pure)                clone3       init waits       exec
//!           cgroups, overlay           init: mounts, pivot,
//!           seccomp from the cache           identity, limits
//! ```
//!
//! The caller must be a single-threaded process (a shim, or the command line): a container's init is a plain copy of
//! it, made by `clone3`, with no helper process and no second exec. The runtime knows nothing of Docker: defaults
//! are the caller's, and so is the reaping of what it starts. It has no state of its own but what [`main`], the
//! command line, writes under its `--root`. Linux 5.12 is the least that it runs on.

mod birth;
mod bus;
pub mod cgroup;
mod channel;
mod checkpoint;
mod command;
mod create;
mod document;
pub mod error;
mod exec;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod hooks;
mod init;
mod labels;
mod mountinfo;
mod net_devices;
mod pid_one;
mod plan;
mod prepare;
mod process;
mod procfs;
mod rdt;
mod request;
mod reservation;
pub mod seal;
mod seccomp;
mod signals;
mod userns;

pub use cgroup::{Cgroup, Driver};
pub use create::{Created, Poststop};
pub use document::load_spec;
pub use error::{Error, Kind, Result};
pub use exec::exec;
pub use plan::cgroup_path;
pub use prepare::Prepared;
pub use request::{ExecRequest, Executed, Inputs, Request, Root, Stdio};

use std::ffi::OsString;
use std::process::ExitCode;

/// The command line `barge runtime …`; `args` begin after the word `runtime`.
pub fn main(args: Vec<OsString>) -> ExitCode {
    command::main(args)
}

/// Process 1 of a container that was asked for an init: `docker-init [-s] -- PROGRAM ARG…`.
///
/// `args` begin after the program's own name. It runs the program as its child, forwards signals, reaps every process that is left
/// to it, and ends with the program's exit code (128 + n for a signal).
pub fn pid_one_main(args: Vec<OsString>) -> ExitCode {
    pid_one::main(args)
}
