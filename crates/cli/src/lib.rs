//! The command line: commands, flags, output. Speaks to Barge's daemon and to a real dockerd alike.
//!
//! ```text
//! main -> commands.rs (the tree) -> commands/NOUN/VERB.rs -> client
//!           flags/    what a command line says       output/   what is printed
//!           host.rs   where the engine is            stream/   terminals, signals, copying
//!           auth.rs   credentials of registries      config_file.rs   ~/.docker/config.json
//! ```
//!
//! Texts, exit statuses and output formats are Docker's, because scripts depend on them. The runtime is a
//! current-thread one and nothing is built that the command at hand does not need: a start costs microseconds.

mod auth;
mod cli;
mod commands;
mod config_file;
mod failure;
mod flags;
mod host;
mod image_name;
mod output;
mod progress;
mod stream;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::failure::Failure;

/// Runs the command line in `args`, which are those after the program's name `argv0`.
///
/// Returns the status to exit with: the container's own for `run`, `start -a`, `exec` and `wait`'s kin, 125 to 127
/// where no container came about, else 0 or 1.
pub fn main(args: Vec<OsString>, argv0: &str) -> ExitCode {
    // The API carries text only, so what is no UTF-8 cannot be passed on as it is.
    let args = args.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let program = match Path::new(argv0).file_name().and_then(|name| name.to_str()) {
        Some("docker") => "docker",
        _ => "barge",
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(commands::run(program, args));
            // A read of standard input may never return; nothing else is left to wait for.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Failure::new(format!("cannot start: {error}"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.is_empty() {
                output::warn(&failure.text);
            }
            ExitCode::from(failure.code)
        }
    }
}
