//! `exec`: one more process in a running container.

use std::fs;
use std::path::{Path, PathBuf};

use barge_oci::runtime_spec::Process;
use clap::Args;

use super::create::write_pid;
use super::state::{Container, Status};
use super::streams;
use crate::error::{Error, Result};
use crate::plan::invalid;
use crate::request::{ExecRequest, Stdio};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Give it a terminal
    #[arg(long, short)]
    tty: bool,
    /// Working directory
    #[arg(long)]
    cwd: Option<PathBuf>,
    /// NAME=value of a variable
    #[arg(long, short)]
    env: Vec<String>,
    /// name|uid[:group|gid]
    #[arg(long, short)]
    user: Option<String>,
    /// File with the process as JSON
    #[arg(long, short)]
    process: Option<PathBuf>,
    /// Do not wait for the end
    #[arg(long, short)]
    detach: bool,
    /// Unix socket that gets the master of the terminal
    #[arg(long)]
    console_socket: Option<PathBuf>,
    /// File to write the pid to
    #[arg(long)]
    pid_file: Option<PathBuf>,
    /// Forbid gaining privileges
    #[arg(long)]
    no_new_privs: bool,
    /// Allow a paused container; the process stands still until it is resumed
    #[arg(long)]
    ignore_paused: bool,
    /// Container
    id: String,
    /// Program and arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(super) fn exec(root: &Path, arguments: &Arguments) -> Result<u8> {
    let container = Container::load(root, &arguments.id)?;
    match container.status() {
        Status::Running | Status::Created => {}
        Status::Paused if arguments.ignore_paused => {}
        Status::Paused => {
            let reason = "cannot exec in a paused container (use --ignore-paused to override)";
            return Err(Error::Usage { reason: reason.into() });
        }
        other => return Err(container.wrong(other, "exec")),
    }
    let spec = &container.document.spec;
    let process = match &arguments.process {
        Some(file) => read_process(file)?,
        None => {
            let base = spec.process().clone().ok_or_else(|| invalid("process", "is missing"))?;
            described(base, arguments)?
        }
    };
    let terminal = process.terminal() == Some(true);
    if terminal && arguments.detach && arguments.console_socket.is_none() {
        return Err(Error::Usage {
            reason: "cannot allocate tty if runc will detach without setting console socket".into(),
        });
    }
    let foreground = streams::Foreground::begin(arguments.detach)?;
    let executed = crate::exec(ExecRequest {
        init_pid: container.document.pid,
        init_pidfd: None,
        id: &container.document.id,
        bundle: &container.document.bundle,
        spec,
        process,
        user: arguments.user.clone(),
        groups: Vec::new(),
        cgroup: &container.cgroup()?,
        stdio: if terminal { Stdio::Terminal { size: None } } else { streams::own()? },
        seccomp_cache: Some(root.join(".seccomp")),
    })?;
    let mut console = executed.console;
    if let (Some(socket), Some(master)) = (&arguments.console_socket, &console) {
        streams::send_console(socket, master)?;
        console = None;
    }
    if let Some(file) = &arguments.pid_file {
        write_pid(file, executed.pid)?;
    }
    if arguments.detach { Ok(0) } else { foreground.wait(executed.pid, console) }
}

fn read_process(file: &Path) -> Result<Process> {
    let text = fs::read(file).map_err(|error| Error::File {
        operation: "read".into(),
        path: file.into(),
        source: error.into(),
    })?;
    let (process, warnings) = crate::document::process(&text)
        .map_err(|error| Error::Document { path: file.into(), reason: error.to_string() })?;
    warnings.iter().for_each(|warning| super::warn(warning));
    Ok(process)
}

/// The container's own process with what the flags change.
fn described(mut process: Process, arguments: &Arguments) -> Result<Process> {
    if arguments.command.is_empty() {
        return Err(Error::Usage { reason: "exec needs a program or --process".into() });
    }
    process.set_args(Some(arguments.command.clone()));
    process.set_terminal(Some(arguments.tty));
    if let Some(directory) = &arguments.cwd {
        process.set_cwd(directory.clone());
    }
    let mut environment = process.env().clone().unwrap_or_default();
    environment.extend(arguments.env.iter().cloned());
    process.set_env(Some(environment));
    if arguments.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    Ok(process)
}
