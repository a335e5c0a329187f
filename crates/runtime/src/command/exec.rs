//! `exec`: one more process in a running container.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use barge_oci::runtime_spec::{Capabilities, Capability, LinuxCapabilities, Process};

use super::create::write_pid;
use super::flags::{Flag, Given, Syntax};
use super::state::{Container, Status};
use super::{Globals, Verb, inherited, log, streams, warn};
use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::plan::invalid;
use crate::request::{ExecRequest, Executed, Stdio};

pub(super) const VERB: Verb = Verb {
    syntax: Syntax {
        verb: "exec",
        about: "Run one more process in a container",
        words: "<container-id> [program [arguments]]",
        count: (1, usize::MAX),
        open: true,
        flags: &[
            Flag::switch("tty", "Give it a terminal").or('t'),
            Flag::with("cwd", "directory", "Working directory"),
            Flag::with("env", "name=value", "A variable").or('e'),
            Flag::with("user", "name|uid[:group|gid]", "Who it runs as").or('u'),
            Flag::with("process", "file", "Describes the process, as JSON").or('p'),
            Flag::switch("detach", "Do not wait for the end").or('d'),
            Flag::with("console-socket", "path", "Unix socket that gets the master of the terminal"),
            Flag::with("pidfd-socket", "path", "Unix socket that gets a pidfd of the process"),
            Flag::with("pid-file", "file", "File to write the pid to"),
            Flag::switch("no-new-privs", "Forbid gaining privileges"),
            Flag::with("cap", "capability", "Capability to add").or('c'),
            Flag::with("additional-gids", "gid", "Group to add").or('g'),
            Flag::with("process-label", "label", "SELinux label"),
            Flag::with("apparmor", "profile", "AppArmor profile"),
            Flag::with("cgroup", "[controllers:]path", "Cgroup below the container's"),
            Flag::with("preserve-fds", "n", "How many descriptors above 2 the program inherits"),
            Flag::switch(
                "ignore-paused",
                "Allow a paused container; the process stands still until it is resumed",
            ),
        ],
    },
    run: exec,
    // What a program ends with is its own affair; runc leaves this code to the runtime.
    failed: 255,
};

fn exec(globals: &Globals, given: &Given) -> Result<u8> {
    let preserved = given.number("preserve-fds")?.unwrap_or(0);
    inherited::check(preserved)?;
    let container = Container::load(&globals.root, &given.container()?)?;
    let (init, stage) = container.hold()?;
    if stage == Status::Stopped {
        return Err(container.wrong(stage, "exec"));
    }
    let top = container.cgroup()?;
    if !given.on("ignore-paused")? && top.is_frozen() {
        let reason = "cannot exec in a paused container (use --ignore-paused to override)";
        return Err(Error::Usage { reason: reason.into() });
    }
    let spec = &container.document.spec;
    // A file describes all of the process: no other flag says anything about it.
    let (process, user) = match given.path("process") {
        Some(file) => (within(read_process(&file)?, spec.process().as_ref()), None),
        None => {
            let base = spec.process().clone().ok_or_else(|| invalid("process", "is missing"))?;
            (described(base, given)?, given.text("user")?)
        }
    };
    let terminal = process.terminal() == Some(true);
    let detach = given.on("detach")?;
    let console_socket = given.path("console-socket");
    streams::check_console(terminal, detach, console_socket.is_some())?;
    let cgroup = given.texts("cgroup")?.iter().try_fold(top, |cgroup, wanted| below(&cgroup, wanted))?;
    let foreground = streams::Foreground::begin(detach)?;
    let mut executed = crate::exec(ExecRequest {
        init_pid: container.document.pid,
        init_pidfd: init.as_ref().map(AsFd::as_fd),
        id: &container.document.id,
        bundle: &container.document.bundle,
        spec,
        process,
        user,
        groups: Vec::new(),
        cgroup: &cgroup,
        stdio: if terminal { Stdio::Terminal { size: None } } else { streams::own()? },
        preserved,
        seccomp_cache: Some(globals.root.join(".seccomp")),
    })
    // What the kernel says when the container's end was faster is of no use to anybody.
    .map_err(|error| match container.stage() {
        Ok(stopped @ Status::Stopped) => container.wrong(stopped, "exec"),
        _ => error,
    })?;
    if let Some(processors) = executed.born_on {
        log::debug(&format!("affinity: {processors:#x}"));
    }
    executed.warnings.iter().for_each(|warning| log::note(warning));
    let console = hand_over(given, &mut executed, console_socket).inspect_err(|_| end(&executed))?;
    if detach { Ok(0) } else { foreground.wait(&executed.pidfd, console) }
}

/// Tells those who wait for it of the new process. Returns its terminal if it is served here.
fn hand_over(
    given: &Given,
    executed: &mut Executed,
    console_socket: Option<PathBuf>,
) -> Result<Option<OwnedFd>> {
    let mut console = executed.console.take();
    if let (Some(socket), Some(master)) = (console_socket, &console) {
        streams::send_console(&socket, master)?;
        console = None;
    }
    if let Some(socket) = given.path("pidfd-socket") {
        streams::send_pidfd(&socket, &executed.pidfd)?;
    }
    if let Some(file) = given.path("pid-file") {
        write_pid(&file, executed.pid)?;
    }
    Ok(console)
}

/// Ends a process that nobody can make use of.
fn end(executed: &Executed) {
    crate::create::kill_and_reap(&executed.pidfd);
}

fn read_process(file: &Path) -> Result<Process> {
    let text = crate::document::load(file)?;
    let (process, warnings) = crate::document::process(&text)
        .map_err(|error| Error::Document { path: file.into(), reason: error.to_string() })?;
    warnings.iter().for_each(|warning| warn(warning));
    Ok(process)
}

/// A process with what it leaves open as the container's own has it, like runc: above all, no more rights than that.
fn within(mut process: Process, own: Option<&Process>) -> Process {
    let Some(own) = own else { return process };
    if process.capabilities().is_none() {
        process.set_capabilities(own.capabilities().clone());
    }
    if process.no_new_privileges().is_none() {
        process.set_no_new_privileges(own.no_new_privileges());
    }
    if process.oom_score_adj().is_none() {
        process.set_oom_score_adj(own.oom_score_adj());
    }
    if process.user().umask().is_none() {
        process.user_mut().set_umask(own.user().umask());
    }
    if process.rlimits().as_ref().is_none_or(Vec::is_empty) {
        process.set_rlimits(own.rlimits().clone());
    }
    let unset = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
    if unset(process.apparmor_profile()) {
        process.set_apparmor_profile(own.apparmor_profile().clone());
    }
    if unset(process.selinux_label()) {
        process.set_selinux_label(own.selinux_label().clone());
    }
    if process.io_priority().is_none() {
        process.set_io_priority(*own.io_priority());
    }
    if process.scheduler().is_none() {
        process.set_scheduler(own.scheduler().clone());
    }
    if process.exec_cpu_affinity().is_none() {
        process.set_exec_cpu_affinity(own.exec_cpu_affinity().clone());
    }
    process
}

/// The container's own process with what the flags change.
fn described(mut process: Process, given: &Given) -> Result<Process> {
    let command = given.rest()?;
    if command.is_empty() {
        return Err(Error::Usage { reason: "exec args cannot be empty".into() });
    }
    process.set_args(Some(command)).set_terminal(Some(given.on("tty")?));
    if let Some(directory) = given.path("cwd") {
        process.set_cwd(directory);
    }
    process.env_mut().get_or_insert_default().extend(given.texts("env")?);
    if given.last("no-new-privs").is_some() {
        process.set_no_new_privileges(Some(given.on("no-new-privs")?));
    }
    let more = capabilities(&given.texts("cap")?);
    if !more.is_empty() {
        let sets = process.capabilities().clone().unwrap_or_else(no_capabilities);
        process.set_capabilities(Some(with_capabilities(sets, &more)));
    }
    let groups: Vec<u32> = given.numbers("additional-gids")?;
    if !groups.is_empty() {
        process.user_mut().additional_gids_mut().get_or_insert_default().extend(groups);
    }
    if let Some(label) = given.text("process-label")? {
        process.set_selinux_label(Some(label));
    }
    if let Some(profile) = given.text("apparmor")? {
        process.set_apparmor_profile(Some(profile));
    }
    Ok(process)
}

/// The capabilities of these names, with `CAP_` before them or without. What is none is left out with a warning.
fn capabilities(names: &[String]) -> Vec<Capability> {
    let known = |text: &String| {
        let name = text.to_ascii_uppercase();
        name.strip_prefix("CAP_").unwrap_or(&name).parse().ok()
    };
    let unknown: Vec<&str> = names.iter().filter(|name| known(name).is_none()).map(String::as_str).collect();
    if !unknown.is_empty() {
        warn(&format!("ignoring unknown or unavailable capabilities: [{}]", unknown.join(" ")));
    }
    names.iter().filter_map(known).collect()
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
    cgroup.below(&controllers, Path::new(path))
}
