//! The verbs that let a process into a container run from a sealed program file (see [`crate::seal`]).
//!
//! It is decided before anything else is done, so that the first of the two runs costs next to nothing.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::error::{Error, Result};
use crate::seal::{SealedProgram, is_sealed};

/// Verbs at whose end this program becomes another one inside a container. A container of that name costs the other
/// verbs a start, nothing else.
const VERBS: [&str; 4] = ["create", "run", "exec", "restore"];

/// The pid of a process that was started again. It spares nobody the seal, as anybody may set it; it only keeps this from
/// going round for ever where the seal does not show.
const AGAIN: &str = "BARGE_RUNTIME_SEALED";

/// Starts this program again from a file that containers can't write, unless that is so already or not needed.
pub(super) fn seal(args: &[OsString]) -> Result<()> {
    if !args.iter().any(|word| VERBS.iter().any(|verb| word == verb)) || is_sealed() {
        return Ok(());
    }
    let failed = |error: std::io::Error| Error::File {
        operation: "execute a sealed copy of".into(),
        path: "/proc/self/exe".into(),
        source: error.into(),
    };
    let own = std::process::id().to_string();
    if std::env::var_os(AGAIN).is_some_and(|pid| pid == own.as_str()) {
        return Err(failed(rustix::io::Errno::LOOP.into()));
    }
    let program = SealedProgram::of_self().map_err(failed)?;
    let mut words = std::env::args_os();
    let mut command = Command::new(program.path());
    if let Some(name) = words.next() {
        command.arg0(name);
    }
    Err(failed(command.args(words).env(AGAIN, own).exec()))
}
