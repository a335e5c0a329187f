//! The first process of a container, from its birth to its program.
//!
//! It is a copy of a single-threaded parent, so it may allocate and use everything of the library. What it must not
//! do: return into the parent's code (it ends by `execve` or `_exit`, a panic included), run the parent's
//! destructors, or touch the parent's files but through the descriptors it was given.
//!
//! ```text
//! oom score, id maps -> unseen by others (not dumpable) -> own keyring and session
//! -> into the cgroups -> cgroup namespace -> joined namespaces
//! -> names, sysctls, labels                host's /proc is still there
//! -> root filesystem, pivot                init/rootfs.rs
//! -> streams, user, limits, rights         process/
//! -> find the program -> Ready -> wait -> become it
//! ```

pub(crate) mod apart;
pub(crate) mod cgroups;
mod copy_up;
pub(crate) mod devices;
mod masks;
pub(crate) mod mounts;
mod ramdisk;
pub(crate) mod rootfs;
pub(crate) mod target;

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use barge_sys::namespace::{self, kind};
use barge_sys::process::{close_on_exec_from, exit_now, reset_signals, set_io_priority, set_personality};
use barge_sys::scheduling::{set_memory_policy, set_scheduler};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Signal};

use crate::cgroup::{Entry, Layout};
use crate::channel::{Channel, Report};
use crate::error::{Error, Result};
use crate::hooks::{HooksPlan, Point};
use crate::net_devices;
use crate::plan::process::ProcessPlan;
use crate::plan::sysctl::Sysctl;
use crate::plan::{Plan, namespaces};
use crate::process::streams::Console;
use crate::process::{identity, program, streams};
use crate::procfs;
use crate::request::Stdio;
use crate::seccomp::Filter;
use cgroups::CgroupView;

/// Everything that a container's init begins with.
#[derive(Debug)]
pub(crate) struct Init<'a> {
    pub(crate) plan: &'a Plan,
    /// The root filesystem, if it is mounted already.
    pub(crate) root: Option<&'a OwnedFd>,
    pub(crate) layout: &'a Layout,
    pub(crate) entry: &'a Entry,
    pub(crate) filter: Option<&'a Filter>,
    /// Whether its user namespace has been entered for it, and has its maps.
    pub(crate) mapped: bool,
    /// Namespaces to join, by descriptor.
    pub(crate) joins: Vec<(u64, OwnedFd)>,
    /// Whether its network namespace is a new one.
    pub(crate) new_network: bool,
    /// The mount namespace to join at last.
    pub(crate) mounts: Option<OwnedFd>,
    /// Sources of binds that the parent has opened, in the places of their mounts; init opens the others.
    pub(crate) sources: Vec<Option<OwnedFd>>,
    pub(crate) stdio: Stdio,
    pub(crate) channel: Channel,
    pub(crate) gate: Gate,
    /// As [`Ending::preserved`].
    pub(crate) preserved: u16,
}

/// What init waits for before it runs its program.
#[derive(Debug)]
pub(crate) enum Gate {
    /// The parent says so.
    Channel,
    /// Somebody writes into the FIFO `go`, and hears through `outcome`, which is closed when the program runs, what
    /// came of it.
    Fifo { go: OwnedFd, outcome: Option<OwnedFd> },
}

/// Runs what a new process has to do, in that process: reports a failure to the parent, and never returns.
pub(crate) fn run(channel: &Channel, work: impl FnOnce() -> Result<Infallible>) -> ! {
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let error = match outcome {
        Ok(Ok(never)) => match never {},
        Ok(Err(error)) => error,
        Err(_) => Error::InitDied,
    };
    // With the parent gone there is nobody to tell.
    let _ = channel.report(&Report::Failed(error), None);
    exit_now(FAILED)
}

/// The exit code of a process that could not become its program. The parent has its error.
const FAILED: i32 = 1;

fn attribute(what: &str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::Attribute { what: what.to_owned(), source: error.into() }
}

/// The steps that init and an added process begin with: nobody in the container may look into this process, which
/// is still the runtime, or reach its program file through `/proc`.
pub(crate) fn begin() -> Result<()> {
    hide()?;
    reset_signals().map_err(attribute("signals"))?;
    rustix::process::umask(Mode::empty());
    // The caller may be the leader of its session already (a daemon's child started with one).
    match rustix::process::setsid() {
        Ok(_) | Err(Errno::PERM) => Ok(()),
        Err(errno) => Err(attribute("session")(errno.into())),
    }
}

/// Keeps processes of the same user, and those with all rights over its user namespace, from looking into this one.
pub(crate) fn hide() -> Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|errno| attribute("not dumpable")(errno.into()))
}

/// Leaves the keys of the caller's session behind.
pub(crate) fn leave_keys(plan: &ProcessPlan) {
    if plan.own_keyring {
        // Kernels without keys, or with none left for us, have none to show either.
        let _ = barge_sys::process::join_new_session_keyring();
    }
}

/// The label of the program to come, for whichever module owns the file.
const LABEL: &str = "self/attr/exec";

/// Sets how likely a victim this process is, before it becomes unseen: its file would be closed to it then if it is
/// not the host's root. `outside`: whether its parent may have rights over it that it lacks in its own user namespace.
pub(crate) fn set_oom_score(
    plan: &ProcessPlan,
    outside: bool,
    channel: &Channel,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let Some(score) = plan.oom_score else { return Ok(()) };
    // By this name only: a process has other numbers in other pid namespaces than this procfs shows.
    match write_oom_score("self", score) {
        Err(Errno::ACCESS | Errno::PERM) if oom_score() == Some(score) => Ok(()),
        Err(Errno::ACCESS | Errno::PERM) if outside => ask(channel, &Report::OomScore { score }),
        result => oom_score_warning(result, score).map(|warning| warnings.extend(warning)),
    }
}

/// As [`set_oom_score`], by the parent of `pid`. What could not be done, in words.
pub(crate) fn set_oom_score_of(pid: i32, score: i32) -> Result<Option<String>> {
    oom_score_warning(write_oom_score(&pid.to_string(), score), score)
}

/// For a child that may not set its own by then, and inherits it. If this fails, the child finds out.
pub(crate) fn pass_on_oom_score(score: Option<i32>) {
    if let Some(score) = score {
        let _ = write_oom_score("self", score);
    }
}

fn oom_score() -> Option<i32> {
    std::fs::read_to_string("/proc/self/oom_score_adj").ok()?.trim_end().parse().ok()
}

fn write_oom_score(process: &str, score: i32) -> rustix::io::Result<()> {
    procfs::write(&Path::new(process).join("oom_score_adj"), score.to_string().as_bytes())
}

fn oom_score_warning(result: rustix::io::Result<()>, score: i32) -> Result<Option<String>> {
    match result {
        Ok(()) => Ok(None),
        // Only a privileged process may make itself a less likely victim than its parent.
        Err(Errno::ACCESS | Errno::PERM) => {
            Ok(Some(format!("oom_score_adj {score} needs CAP_SYS_RESOURCE and is not set")))
        }
        Err(errno) => Err(attribute("oom_score_adj")(errno.into())),
    }
}

/// Lets the parent do what only it can.
fn ask(channel: &Channel, report: &Report) -> Result<()> {
    channel.report(report, None)?;
    if channel.wait()? { Ok(()) } else { exit_now(FAILED) }
}

/// Attributes that are written through the host's procfs, before it is out of reach.
pub(crate) fn through_proc(plan: &ProcessPlan) -> Result<()> {
    if let Some(profile) = &plan.apparmor {
        let own = Path::new("self/attr/apparmor/exec");
        let file = if procfs::has(own) { own } else { Path::new(LABEL) };
        procfs::write(file, format!("exec {profile}").as_bytes())
            .map_err(|errno| attribute("AppArmor profile")(errno.into()))?;
    }
    if let Some(label) = &plan.selinux {
        procfs::write(Path::new(LABEL), label.as_bytes())
            .map_err(|errno| attribute("SELinux label")(errno.into()))?;
    }
    tune(plan)
}

/// What the program keeps of its predecessor's scheduling, memory and execution domain.
fn tune(plan: &ProcessPlan) -> Result<()> {
    if let Some((class, priority)) = plan.io_priority {
        set_io_priority(class, priority).map_err(attribute("I/O priority"))?;
    }
    if let Some(scheduler) = plan.scheduler {
        set_scheduler(scheduler).map_err(attribute("scheduler"))?;
    }
    if let Some(policy) = &plan.memory_policy {
        set_memory_policy(policy.mode, &policy.nodes).map_err(attribute("memory policy"))?;
    }
    if let Some(personality) = plan.personality {
        set_personality(personality).map_err(attribute("personality"))?;
    }
    Ok(())
}

/// What a process ends its preparations with.
#[derive(Debug)]
pub(crate) struct Ending<'a> {
    pub(crate) plan: &'a ProcessPlan,
    pub(crate) filter: Option<&'a Filter>,
    pub(crate) channel: &'a Channel,
    pub(crate) gate: &'a Gate,
    pub(crate) hooks: Option<&'a HooksPlan>,
    /// How many descriptors above standard error the program inherits.
    pub(crate) preserved: u16,
}

/// The last steps: tells the parent that all is ready, waits for its word, and runs the program.
pub(crate) fn finish(ending: &Ending<'_>, mut warnings: Vec<String>) -> Result<Infallible> {
    let Ending { plan, filter, channel, gate, .. } = *ending;
    // While no filter can refuse it. All that is opened from here on closes by itself.
    close_on_exec_from(3 + i32::from(ending.preserved)).map_err(attribute("descriptors"))?;
    let environment = identity::assume(plan, filter, channel, &mut warnings)?;
    let file = match plan.arguments.first() {
        Some(name) => program::find(name, &environment)?,
        // A container without a process can be created (config.md, Process); it is `start` that asks for one.
        None => CString::default(),
    };
    // Only the parent of this moment can hand a listener on.
    if plan.no_new_privileges
        && let Some(filter) = filter.filter(|filter| filter.listener().is_some())
    {
        filter.load(channel)?;
    }
    if matches!(gate, Gate::Fifo { .. }) {
        end_when_told()?;
    }
    channel.report(&Report::Ready { warnings }, None)?;
    let opened = gate.wait(channel).and_then(|opened| {
        // Nobody is left to hear of it.
        if opened { before_program(ending) } else { exit_now(FAILED) }
    });
    let error = match opened {
        Ok(()) => program::become_it(&file, &plan.arguments, &environment),
        Err(error) => error,
    };
    gate.report(&error);
    Err(error)
}

/// Lets a container that waits for its start be ended as its program could be: the kernel keeps from process 1 what it
/// has no handler for. The program has none of these handlers. Not by HUP, which comes when a terminal is lost.
fn end_when_told() -> Result<()> {
    [Signal::INT, Signal::QUIT, Signal::TERM]
        .iter()
        .try_for_each(|signal| barge_sys::signal::exit_on(signal.as_raw()))
        .map_err(attribute("signals"))
}

/// Hooks run as the process would, but for a filter that forbids them what its program need not do.
fn before_program(ending: &Ending<'_>) -> Result<()> {
    if let Some(hooks) = ending.hooks {
        hooks.in_container(Point::StartContainer)?;
    }
    match ending.filter {
        Some(filter) if ending.plan.no_new_privileges && filter.listener().is_none() => {
            filter.load(ending.channel)
        }
        _ => Ok(()),
    }
}

impl Gate {
    /// False when nobody will ever open it.
    fn wait(&self, channel: &Channel) -> Result<bool> {
        match self {
            Self::Channel => channel.wait(),
            Self::Fifo { go, .. } => {
                let mut byte = [0u8; 1];
                rustix::io::retry_on_intr(|| rustix::io::read(go, &mut byte))
                    .map(|count| count == 1)
                    .map_err(|errno| attribute("the start")(errno.into()))
            }
        }
    }

    /// Tells whoever opened it why the program does not run; if he does not wait to hear, the container's own log is
    /// where it will be looked for.
    fn report(&self, error: &Error) {
        match self {
            Self::Channel => {}
            Self::Fifo { outcome: Some(outcome), .. } => {
                // Without this he still sees the end.
                let _ = serde_json::to_vec(error).map(|text| rustix::io::write(outcome, &text));
            }
            Self::Fifo { outcome: None, .. } => {
                let _ = rustix::io::write(rustix::stdio::stderr(), format!("{error}\n").as_bytes());
            }
        }
    }
}

impl Init<'_> {
    /// Becomes the container's program.
    pub(crate) fn become_container(mut self) -> Result<Infallible> {
        let mut warnings = Vec::new();
        let user = self.plan.namespaces.separate(kind::USER);
        set_oom_score(&self.plan.process, user, &self.channel, &mut warnings)?;
        if self.plan.namespaces.new & kind::USER != 0 && !self.mapped {
            // While the parent may still write them without privileges.
            ask(&self.channel, &Report::MapIds)?;
        }
        begin()?;
        leave_keys(&self.plan.process);
        self.enter_namespaces()?;
        self.name_host()?;
        set_sysctls(&self.plan.sysctls)?;
        through_proc(&self.plan.process)?;
        let apart = self.build_root()?;
        let process = &self.plan.process;
        streams::connect(self.stdio, process.terminal_size, Console::Mount, &self.channel)?;
        if self.plan.root.read_only_devices {
            // Not before its console is there.
            rootfs::forbid_writing("/dev")?;
        }
        if let (Some(apart), Some(namespace)) = (&apart, &self.mounts) {
            apart.join(namespace)?;
        }
        let ending = Ending {
            plan: process,
            filter: self.filter,
            channel: &self.channel,
            gate: &self.gate,
            hooks: self.plan.hooks.as_ref(),
            preserved: self.preserved,
        };
        finish(&ending, warnings)
    }

    /// Moves into the root filesystem. What comes back holds one that is no part of a mount namespace.
    fn build_root(&mut self) -> Result<Option<apart::Apart>> {
        let namespaces = &self.plan.namespaces;
        let view = CgroupView {
            layout: self.layout,
            path: &self.plan.cgroup,
            private: namespaces.separate(kind::CGROUP),
            apart: namespaces.borrows_mounts(),
        };
        let sources = std::mem::take(&mut self.sources);
        if view.apart {
            return apart::build(self.plan, self.root, sources, &view, || self.hooks()).map(Some);
        }
        rootfs::build(self.plan, self.root, sources, &view, || self.hooks()).map(|()| None)
    }

    /// The hooks of `create`: the parent's, then its own. The working directory is the new root.
    fn hooks(&self) -> Result<()> {
        match self.plan.hooks.as_ref().filter(|hooks| hooks.during_create()) {
            None => Ok(()),
            Some(hooks) => {
                ask(&self.channel, &Report::Mounted)?;
                hooks.in_container(Point::CreateContainer)
            }
        }
    }

    fn enter_namespaces(&self) -> Result<()> {
        let plan = &self.plan.namespaces;
        if plan.separate(kind::USER) {
            become_mapped_root()?;
        }
        self.entry.enter().map_err(|errno| Error::Cgroup {
            path: self.plan.cgroup.clone(),
            operation: "enter".into(),
            source: errno.into(),
        })?;
        if plan.new & kind::CGROUP != 0 {
            namespace::unshare(kind::CGROUP).map_err(attribute("cgroup namespace"))?;
        }
        for (kind, fd) in &self.joins {
            join(*kind, fd)?;
        }
        if self.new_network {
            net_devices::take_up_loopback()?;
        }
        if self.plan.net_devices.is_empty() { Ok(()) } else { ask(&self.channel, &Report::Links) }
    }

    fn name_host(&self) -> Result<()> {
        if let Some(name) = &self.plan.hostname {
            rustix::system::sethostname(name.as_bytes())
                .map_err(|errno| attribute("hostname")(errno.into()))?;
        }
        if let Some(name) = &self.plan.domainname {
            barge_sys::process::set_domain_name(name.as_bytes()).map_err(attribute("domainname"))?;
        }
        Ok(())
    }
}

/// Joins one namespace.
pub(crate) fn join(kind: u64, fd: &OwnedFd) -> Result<()> {
    namespace::join(fd.as_fd(), kind)
        .map_err(|error| Error::NamespaceJoin { kind: namespaces::name(kind).into(), source: error.into() })
}

/// In another user namespace this process is nobody until it takes the ids that are mapped there.
pub(crate) fn become_mapped_root() -> Result<()> {
    let gid = rustix::thread::Gid::ROOT;
    let uid = rustix::thread::Uid::ROOT;
    rustix::thread::set_thread_res_gid(gid, gid, gid)
        .and_then(|()| rustix::thread::set_thread_res_uid(uid, uid, uid))
        .map_err(|errno| attribute("ids of the user namespace")(errno.into()))
}

fn set_sysctls(sysctls: &[Sysctl]) -> Result<()> {
    for sysctl in sysctls {
        procfs::write(&Path::new("sys").join(&sysctl.path), sysctl.value.as_bytes())
            .map_err(|errno| Error::Sysctl { key: sysctl.path.replace('/', "."), source: errno.into() })?;
    }
    Ok(())
}
