//! `exec`: one more process in a running container.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use barge_oci::runtime_spec::{Capabilities, Capability, LinuxCapabilities, Process};
use clap::Args;

use super::create::write_pid;
use super::state::{Container, Status};
use super::streams;
use crate::cgroup::Cgroup;
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
    /// Capability to add
    #[arg(long, short, value_parser = capability)]
    cap: Vec<Capability>,
    /// Group to add, by number
    #[arg(long, short = 'g')]
    additional_gids: Vec<u32>,
    /// SELinux label
    #[arg(long)]
    process_label: Option<String>,
    /// AppArmor profile
    #[arg(long)]
    apparmor: Option<String>,
    /// [CONTROLLER[,CONTROLLER…]:]PATH of a cgroup below the container's
    #[arg(long)]
    cgroup: Vec<String>,
    /// How many descriptors above 2 the program inherits
    #[arg(long, default_value_t = 0)]
    preserve_fds: u16,
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
    let (init, status) = container.hold()?;
    match status {
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
    let cgroup =
        arguments.cgroup.iter().try_fold(container.cgroup()?, |cgroup, wanted| below(&cgroup, wanted))?;
    let foreground = streams::Foreground::begin(arguments.detach)?;
    let executed = crate::exec(ExecRequest {
        init_pid: container.document.pid,
        init_pidfd: init.as_ref().map(AsFd::as_fd),
        id: &container.document.id,
        bundle: &container.document.bundle,
        spec,
        process,
        user: arguments.user.clone(),
        groups: Vec::new(),
        cgroup: &cgroup,
        stdio: if terminal { Stdio::Terminal { size: None } } else { streams::own()? },
        preserved: arguments.preserve_fds,
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
    let text = crate::document::load(file)?;
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
    if !arguments.cap.is_empty() {
        let sets = process.capabilities().clone().unwrap_or_else(no_capabilities);
        process.set_capabilities(Some(with_capabilities(sets, &arguments.cap)));
    }
    if !arguments.additional_gids.is_empty() {
        let mut user = process.user().clone();
        let mut groups = user.additional_gids().clone().unwrap_or_default();
        groups.extend(&arguments.additional_gids);
        user.set_additional_gids(Some(groups));
        process.set_user(user);
    }
    if arguments.process_label.is_some() {
        process.set_selinux_label(arguments.process_label.clone());
    }
    if arguments.apparmor.is_some() {
        process.set_apparmor_profile(arguments.apparmor.clone());
    }
    Ok(process)
}

/// A capability's name, with `CAP_` before it or without.
fn capability(text: &str) -> std::result::Result<Capability, String> {
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("CAP_").unwrap_or(&name);
    name.parse().map_err(|_| format!("unknown capability {text:?}"))
}

fn no_capabilities() -> LinuxCapabilities {
    let mut sets = LinuxCapabilities::default();
    sets.set_bounding(None).set_effective(None).set_permitted(None).set_inheritable(None).set_ambient(None);
    sets
}

/// The sets with more capabilities that the process has, but doesn't pass on unless the container's own process does.
fn with_capabilities(mut sets: LinuxCapabilities, more: &[Capability]) -> LinuxCapabilities {
    let with = |set: &Option<Capabilities>| {
        let present = set.iter().flatten();
        Some(present.chain(more).copied().collect::<Capabilities>())
    };
    let heritable =
        |capability: &&Capability| sets.inheritable().iter().flatten().any(|has| has == *capability);
    let ambient = sets.ambient().iter().flatten().chain(more.iter().filter(heritable)).copied().collect();
    let (bounding, effective) = (with(sets.bounding()), with(sets.effective()));
    let permitted = with(sets.permitted());
    sets.set_bounding(bounding).set_effective(effective).set_permitted(permitted).set_ambient(Some(ambient));
    sets
}

/// The cgroup that `[CONTROLLER[,CONTROLLER…]:]PATH` names below a container's.
fn below(cgroup: &Cgroup, wanted: &str) -> Result<Cgroup> {
    let (controllers, path) = wanted.split_once(':').unwrap_or(("", wanted));
    let controllers: Vec<&str> = controllers.split(',').filter(|name| !name.is_empty()).collect();
    // The container's own, although it may have moved its processes further down.
    if controllers.is_empty() && path.trim_matches('/').is_empty() {
        return Ok(cgroup.clone());
    }
    cgroup.below(&controllers, Path::new(path))
}
