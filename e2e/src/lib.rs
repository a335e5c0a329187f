//! The harness of the end-to-end tests: a daemon of the real binary with its own roots, a real
//! registry, the images that all tests share, and the clients.
//!
//! ```text
//! let daemon = Daemon::start()?;             own data root, exec root, socket, bridge
//! daemon.docker(&["run", "busybox", "true"]) the docker CLI on PATH
//! daemon.barge(&["ps"])                      our own CLI
//! drop(daemon)                               removes everything and fails if something is left
//! ```
//! It knows nothing of Barge's crates: what it sees is what a user sees.

mod command;
mod daemon;
mod images;
mod registry;

pub use command::{Outcome, run, wait_until};
pub use daemon::{Client, Daemon, Options};
pub use images::{busybox_archive, debian_archive};
pub use registry::{Protection, Registry};

use std::path::PathBuf;

/// The binary under test: `BARGE_BIN`, or the release build in the target directory.
///
/// # Panics
/// When there is none: the tests can't mean anything then.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("BARGE_BIN") {
        return PathBuf::from(named);
    }
    let test = std::env::current_exe().expect("the test knows its own path");
    let built = test.ancestors().nth(3).map(|target| target.join("release/barge"));
    built.filter(|path| path.is_file()).expect("set BARGE_BIN or run `cargo build --release -p barge` first")
}
