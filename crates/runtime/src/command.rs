//! The runtime as a command: `barge runtime VERB`.
//!
//! Flags are those of the runtime command line specification and of runc, so that tools which drive runc can drive
//! this. A container is remembered by one file below `--root`:
//!
//! ```text
//! <root>/<id>/state.json   what it is: bundle, pid, cgroup, specification
//! <root>/<id>/exec.fifo    while it is created and not started: writing a byte starts it
//! ```

mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod pause;
mod ps;
mod run;
mod spec;
mod start;
mod state;
mod streams;
mod update;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::error::{Error, Result};
use crate::seal::{SealedProgram, is_sealed};

#[derive(Debug, Parser)]
#[command(name = "barge runtime", about = "Create and run OCI containers", version)]
struct Line {
    /// Directory of the containers' state
    #[arg(long, global = true, default_value = "/run/barge/runtime")]
    root: PathBuf,
    /// Append errors to this file
    #[arg(long, global = true)]
    log: Option<PathBuf>,
    /// Format of the log
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Accepted for compatibility
    #[arg(long, global = true, hide = true)]
    debug: bool,
    /// Refused: cgroups are managed directly
    #[arg(long, global = true, hide = true)]
    systemd_cgroup: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create a container; its program waits for `start`
    Create(create::Arguments),
    /// Run the program of a created container
    Start(start::Arguments),
    /// Create a container, start it and wait for its end
    Run(run::Arguments),
    /// Print a container's state as JSON
    State(state::Arguments),
    /// Send a signal to a container
    Kill(kill::Arguments),
    /// Remove what a container leaves behind
    Delete(delete::Arguments),
    /// Run one more process in a container
    Exec(exec::Arguments),
    /// List containers
    List(list::Arguments),
    /// Print what this runtime can do as JSON
    Features,
    /// Write a config.json to begin with
    Spec(spec::Arguments),
    /// Stop all processes of a container where they are
    Pause(pause::Arguments),
    /// Let the processes of a paused container go on
    Resume(pause::Arguments),
    /// Change a container's limits
    Update(update::Arguments),
    /// Print what a container uses, and each want of memory
    Events(events::Arguments),
    /// Show the processes of a container
    Ps(ps::Arguments),
}

/// Runs one command.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    let line = match Line::try_parse_from(std::iter::once(OsString::from("barge runtime")).chain(args)) {
        Ok(line) => line,
        Err(error) => {
            // Help and version are errors to clap too; it knows where each goes.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 1 } else { 0 });
        }
    };
    match dispatch(&line) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            report(&line, &error);
            ExitCode::from(1)
        }
    }
}

fn dispatch(line: &Line) -> Result<u8> {
    if line.systemd_cgroup {
        return Err(Error::Usage { reason: "--systemd-cgroup is not supported".into() });
    }
    let root = line.root.as_path();
    match &line.verb {
        Verb::Create(arguments) => sealed().and_then(|()| create::create(root, arguments)),
        Verb::Start(arguments) => start::start(root, arguments),
        Verb::Run(arguments) => sealed().and_then(|()| run::run(root, arguments)),
        Verb::State(arguments) => state::print(root, arguments),
        Verb::Kill(arguments) => kill::kill(root, arguments),
        Verb::Delete(arguments) => delete::delete(root, arguments),
        Verb::Exec(arguments) => sealed().and_then(|()| exec::exec(root, arguments)),
        Verb::List(arguments) => list::list(root, arguments),
        Verb::Features => features::print(),
        Verb::Spec(arguments) => spec::spec(arguments),
        Verb::Pause(arguments) => pause::pause(root, arguments),
        Verb::Resume(arguments) => pause::resume(root, arguments),
        Verb::Update(arguments) => update::update(root, arguments),
        Verb::Events(arguments) => events::events(root, arguments),
        Verb::Ps(arguments) => ps::ps(root, arguments),
    }
}

/// Set for the second run, so that there is never a third.
const SEALED: &str = "BARGE_RUNTIME_SEALED";

/// Starts this program again from a file that containers can't write, unless that is so already.
fn sealed() -> Result<()> {
    if is_sealed() || std::env::var_os(SEALED).is_some() {
        return Ok(());
    }
    // Without the right to mount, containers have no right to this file either.
    let Ok(program) = SealedProgram::of_self() else { return Ok(()) };
    let mut command = std::process::Command::new(program.path());
    command.args(std::env::args_os().skip(1)).env(SEALED, "1");
    if let Some(name) = std::env::args_os().next() {
        std::os::unix::process::CommandExt::arg0(&mut command, name);
    }
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    Err(Error::File { operation: "execute".into(), path: program.path(), source: error.into() })
}

fn report(line: &Line, error: &Error) {
    let time = jiff::Timestamp::now();
    let message = error.to_string();
    let text = match line.log_format {
        LogFormat::Text => format!("time=\"{time}\" level=error msg={message:?}\n"),
        LogFormat::Json => {
            let entry = serde_json::json!({ "level": "error", "msg": message, "time": time.to_string() });
            format!("{entry}\n")
        }
    };
    let logged = line.log.as_ref().and_then(|file| {
        std::fs::OpenOptions::new().append(true).create(true).open(file).ok()?.write_all(text.as_bytes()).ok()
    });
    // The log is for tools; people look at the terminal. With neither, the exit code has to do.
    if logged.is_none() || line.log_format == LogFormat::Text {
        let _ = writeln!(std::io::stderr(), "barge runtime: error: {message}");
    }
}

/// Says what went wrong and stops nothing.
fn warn(message: &str) {
    // There is nobody else to tell.
    let _ = writeln!(std::io::stderr(), "barge runtime: warning: {message}");
}

/// Writes a line, or lines, to standard output.
fn print(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| Error::File {
        operation: "write".into(),
        path: "standard output".into(),
        source: error.into(),
    })
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Error::Document { path: "standard output".into(), reason: error.to_string() })
}
