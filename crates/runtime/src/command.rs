//! The runtime as a command: `barge runtime …`, or under the name `barge-runc`.
//!
//! Flags are those of the runtime command line specification and of runc, so that tools which drive runc can drive
//! this. A container is remembered by files below `--root`:
//!
//! ```text
//! <root>/<id>/state.json   what it is: bundle, pid, cgroup, specification
//! <root>/<id>/cgroup       a link that names its cgroup, for when there is no state.json (yet)
//! <root>/<id>/exec.fifo    while it is created and not started: writing a byte starts it
//! ```

mod checkpoint;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod flags;
mod inherited;
mod kill;
mod life;
mod list;
mod log;
mod pause;
mod ps;
mod restore;
mod run;
mod sealed;
mod spec;
mod start;
mod state;
mod streams;
mod terminal;
mod unfinished;
mod update;

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use barge_sys::process::{Action, set_action};

use crate::cgroup::Driver;
use crate::error::{Error, Result};
use crate::signals::SIGCHLD;
use crate::userns;
use flags::{Flag, Given, Syntax};
use log::{Format, Log, warn};

/// One verb of the command line.
struct Verb {
    syntax: Syntax,
    run: fn(&Globals, &Given) -> Result<u8>,
    /// The exit code of its failures.
    failed: u8,
}

impl Verb {
    const fn new(syntax: Syntax, run: fn(&Globals, &Given) -> Result<u8>) -> Self {
        Self { syntax, run, failed: 1 }
    }
}

static VERBS: [Verb; 17] = [
    create::VERB,
    start::VERB,
    run::VERB,
    state::VERB,
    kill::VERB,
    delete::VERB,
    exec::VERB,
    list::VERB,
    features::VERB,
    spec::VERB,
    pause::PAUSE,
    pause::RESUME,
    update::VERB,
    events::VERB,
    ps::VERB,
    checkpoint::VERB,
    restore::VERB,
];

/// What stands before the verb.
const GLOBALS: Syntax = Syntax {
    verb: "",
    about: "Create and run OCI containers",
    words: "",
    count: (0, usize::MAX),
    open: true,
    flags: &[
        Flag::with("root", "directory", "Where the containers' state is kept"),
        Flag::with("log", "file", "Append errors and warnings to this file"),
        Flag::with("log-format", "text|json", "What the log looks like (default: text)"),
        Flag::switch("debug", "Log more"),
        Flag::switch("systemd-cgroup", "Have systemd make the cgroups: cgroupsPath is slice:prefix:name"),
        Flag::with("rootless", "true|false|auto", ""),
        Flag::with("criu", "path", ""),
        Flag::switch("version", "Print the version").or('v'),
    ],
};

/// What holds for every verb.
struct Globals {
    root: PathBuf,
    /// Whether nobody chose it.
    root_is_default: bool,
    /// Who makes the cgroups of new containers.
    driver: Driver,
    /// The program that saves and restores containers.
    criu: PathBuf,
}

/// Runs one command.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    // A caller that ignores it hands that down, and then nobody could wait for a container, a hook or a tool.
    set_action(SIGCHLD, Action::Default);
    match sealed::seal(&args).map_err(Failure::from).and_then(|()| command(args)) {
        Ok(code) => ExitCode::from(code),
        Err(Failure { code, error }) => {
            log::error(&error.to_string());
            ExitCode::from(code)
        }
    }
}

/// What ends a command before its time.
struct Failure {
    code: u8,
    error: Error,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { code: 1, error }
    }
}

fn command(args: Vec<OsString>) -> std::result::Result<u8, Failure> {
    let given = match flags::parse(&GLOBALS, args.into_iter())? {
        Some(given) if given.on("version")? => return Ok(print(&version())?),
        Some(given) if !given.words.is_empty() => given,
        _ => return Ok(print(&help())?),
    };
    log::begin(log(&given)?);
    let globals = globals(&given)?;
    let mut words = given.words.into_iter();
    let name = words.next().unwrap_or_default();
    if name == "help" || name == "h" {
        return Ok(print(&words.next().map_or_else(|| Ok(help()), |name| verb(&name).map(help_of))?)?);
    }
    let verb = verb(&name)?;
    let Some(given) = flags::parse(&verb.syntax, words)? else { return Ok(print(&help_of(verb))?) };
    flags::check(&verb.syntax, &given)?;
    (verb.run)(&globals, &given).map_err(|error| Failure { code: verb.failed, error })
}

fn verb(name: &OsStr) -> std::result::Result<&'static Verb, Failure> {
    // runc's code for this.
    let unknown =
        || Failure { code: 3, error: flags::usage(format!("unknown command {:?}", name.to_string_lossy())) };
    VERBS.iter().find(|verb| name == verb.syntax.verb).ok_or_else(unknown)
}

fn help_of(verb: &Verb) -> String {
    flags::help(&own_name(), &verb.syntax).trim_end().to_owned()
}

fn log(given: &Given) -> Result<Log> {
    let format = match given.last("log-format").and_then(OsStr::to_str) {
        None | Some("" | "text") => Format::Text,
        Some("json") => Format::Json,
        Some(other) => return Err(flags::usage(format!("invalid log-format: {other}"))),
    };
    let file = given.path("log");
    file.as_deref().map_or(Ok(()), check_log)?;
    Ok(Log { file, format, debug: given.on("debug")? })
}

/// An entry that can't be written would be lost to whoever reads the log.
fn check_log(file: &Path) -> Result<()> {
    let parent = file.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let checked = match std::fs::metadata(file) {
        Ok(metadata) if metadata.is_dir() => Err(rustix::io::Errno::ISDIR.into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => std::fs::metadata(parent).map(drop),
        _ => Ok(()),
    };
    let failed = |source: std::io::Error| Error::File {
        operation: "open log".into(),
        path: file.into(),
        source: source.into(),
    };
    checked.map_err(failed)
}

fn globals(given: &Given) -> Result<Globals> {
    let driver = if given.on("systemd-cgroup")? { Driver::Systemd } else { Driver::Direct };
    let root = match given.path("root") {
        Some(root) => std::path::absolute(&root).unwrap_or(root),
        None => default_root(),
    };
    if root == Path::new("/") {
        return Err(flags::usage("Option --root argument should not be set to /".into()));
    }
    let criu = given.path("criu").unwrap_or_else(|| "criu".into());
    Ok(Globals { root, root_is_default: given.path("root").is_none(), driver, criu })
}

/// Users other than root have a directory of their own for what must not outlive the boot. So has root of a user
/// namespace, who mostly is such a user, unless the environment says that it is root from there on.
fn default_root() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|directory| !directory.is_empty());
    let by_name = || std::env::var_os("USER").is_some_and(|name| name == "root");
    let is_user = || !rustix::process::geteuid().is_root() || (userns::is_unprivileged() && !by_name());
    match runtime {
        Some(directory) if is_user() => Path::new(&directory).join("barge/runtime"),
        _ => "/run/barge/runtime".into(),
    }
}

/// How this program was called.
fn own_name() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    match Path::new(&called).file_name().and_then(OsStr::to_str) {
        Some("barge") | None => "barge runtime".into(),
        Some(name) => name.into(),
    }
}

/// In runc's form, which engines take apart.
fn version() -> String {
    let own = env!("CARGO_PKG_VERSION");
    format!("barge-runc version {own}\ncommit: {own}\nspec: {}", features::NEWEST)
}

fn help() -> String {
    let mut out = format!("{}\n\nUsage: {} [options] command\n\nCommands:\n", GLOBALS.about, own_name());
    for Verb { syntax, .. } in &VERBS {
        // Nothing refuses text for a String.
        let _ = writeln!(out, "  {:12} {}", syntax.verb, syntax.about);
    }
    out.push_str("\nOptions:\n");
    flags::list(&mut out, GLOBALS.flags);
    out.trim_end().to_owned()
}

/// Writes a line, or lines, to standard output; the exit code of a success.
fn print(text: &str) -> Result<u8> {
    writeln!(std::io::stdout(), "{text}").map(|()| 0).map_err(|error| Error::File {
        operation: "write".into(),
        path: "standard output".into(),
        source: error.into(),
    })
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Error::Document { path: "standard output".into(), reason: error.to_string() })
}
