//! The runtime's command line as a program of its own, for this crate's tests and benchmarks.
//!
//! Called as `docker-init` it is the small init of containers. `drive FILE` runs one container through the library
//! alone, for what the command line has no flag for: FILE is a `Drive` as JSON. An error goes to standard error as
//! JSON, with the code 125. `keyring` prints the serial number of the session keyring. `heedless ARG…` is `ARG…` from a
//! caller that ignores the ends of its children.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;

use barge_runtime::{Inputs, Prepared, Request, Result, Root, Stdio};
use barge_sys::process::{Action, set_action};

#[derive(serde::Deserialize)]
struct Drive {
    id: String,
    bundle: PathBuf,
    root: Root,
    user: Option<String>,
    cache: Option<PathBuf>,
    netns: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    if std::path::Path::new(&name).ends_with("docker-init") {
        return barge_runtime::pid_one_main(args.collect());
    }
    let args: Vec<_> = args.collect();
    match args.first() {
        Some(word) if word == "drive" => {
            let text = std::fs::read(&args[1]).expect("the file of `drive`");
            let outcome = drive(serde_json::from_slice(&text).expect("a Drive as JSON"));
            outcome.unwrap_or_else(|error| {
                let text = serde_json::json!({ "kind": error.kind(), "message": error.to_string() });
                writeln!(std::io::stderr(), "{text}").expect("standard error");
                ExitCode::from(125)
            })
        }
        Some(word) if word == "keyring" => match barge_sys::process::session_keyring() {
            Ok(serial) => {
                writeln!(std::io::stdout(), "{serial}").expect("standard output");
                ExitCode::SUCCESS
            }
            Err(_) => ExitCode::FAILURE,
        },
        Some(word) if word == "heedless" => {
            const SIGCHLD: i32 = 17;
            set_action(SIGCHLD, Action::Ignore);
            barge_runtime::main(args[1..].to_vec())
        }
        _ => barge_runtime::main(args),
    }
}

fn drive(drive: Drive) -> Result<ExitCode> {
    let text = std::fs::read(drive.bundle.join("config.json")).expect("config.json");
    let prepared = Prepared::new(Request {
        id: drive.id,
        bundle: drive.bundle,
        spec: serde_json::from_slice(&text).expect("a specification"),
        root: drive.root,
        user: drive.user,
        groups: Vec::new(),
        seccomp_cache: drive.cache,
    })?;
    let copy = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().expect("a copy of a stream");
    let netns = drive.netns.map(|path| OwnedFd::from(std::fs::File::open(path).expect("netns")));
    let mut created = prepared.create(Inputs {
        stdio: Stdio::Fds {
            stdin: copy(rustix::stdio::stdin()),
            stdout: copy(rustix::stdio::stdout()),
            stderr: copy(rustix::stdio::stderr()),
        },
        netns,
    })?;
    for warning in &created.warnings {
        writeln!(std::io::stderr(), "warning: {warning}").expect("standard error");
    }
    let started = created.start();
    let code = started.as_ref().ok().map(|()| {
        let id = rustix::process::WaitId::PidFd(created.pidfd.as_fd());
        let status = rustix::process::waitid(id, rustix::process::WaitIdOptions::EXITED);
        let status = status.expect("wait").expect("an end");
        status.exit_status().or(status.terminating_signal().map(|n| 128 + n)).unwrap_or(1)
    });
    if created.cgroup.oom_killed() {
        writeln!(std::io::stderr(), "oom killed").expect("standard error");
    }
    created.cgroup.remove()?;
    started.map(|()| ExitCode::from(code.unwrap_or(1) as u8))
}
