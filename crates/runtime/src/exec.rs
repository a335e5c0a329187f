//! One more process in a running container.
//!
//! The parent visits the container's pid namespace for the birth; the child joins the rest by itself, while nobody in
//! the container can look into it (see [`crate::init::begin`]).

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use barge_sys::namespace::{self, kind};
use barge_sys::process::{CloneArgs, Cloned, clone3, kill_held};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use rustix::thread::CpuSet;

use crate::birth::{self, Visit};
use crate::cgroup::{Cgroup, Entry};
use crate::channel::{Channel, Report};
use crate::create::{self, Born};
use crate::error::{Cause, Error, Result};
use crate::init::apart::change_root;
use crate::init::{self, Ending, Gate};
use crate::labels;
use crate::plan::namespaces::Namespaces;
use crate::plan::no_linux;
use crate::plan::process::ProcessPlan;
use crate::process::streams::{self, Console};
use crate::rdt::RdtPlan;
use crate::request::{ExecRequest, Executed, Stdio};
use crate::seccomp::{Filter, Owner};
use crate::userns;

/// Runs a process inside a running container; returns once its program runs.
pub fn exec(request: ExecRequest<'_>) -> Result<Executed> {
    let none = no_linux();
    let linux = request.spec.linux().as_ref().unwrap_or(&none);
    let plan = ProcessPlan::of(&request.process, linux, request.user, request.groups)?;
    labels::check(&plan, linux)?;
    let namespaces = Namespaces::of(linux)?;
    let owner = Owner {
        spec: request.spec,
        id: request.id,
        bundle: request.bundle,
        init_pid: Some(request.init_pid),
    };
    let filter = seccomp_filter(owner, request.seccomp_cache.as_deref())?;
    let own;
    let init = match request.init_pidfd {
        Some(pidfd) => pidfd,
        None => {
            own = open_init(request.init_pid)?;
            own.as_fd()
        }
    };
    let entry = request.cgroup.entry()?;
    let (ours, theirs) = Channel::pair()?;
    let stay = plan.affinity.initial.as_deref().map(Stay::begin).transpose()?;
    let user = UserNamespace::of(&namespaces, request.init_pid, init)?;
    let apart = namespaces.borrows_mounts();
    let root = apart.then(|| of_init(request.init_pid, "root", init)).transpose()?;
    let separate_pid = namespaces.separate(kind::PID);
    let cloned = match user {
        UserNamespace::First => {
            let kinds = kind::USER | if separate_pid { kind::PID } else { 0 };
            through_middle(init, kinds, &entry, plan.oom_score)?
        }
        UserNamespace::Limited if separate_pid => through_middle(init, kind::PID, &entry, plan.oom_score)?,
        _ => {
            // Pid and time namespaces are only for children: the parent goes there, and comes back.
            let pid = separate_pid.then(|| init.try_clone_to_owned()).transpose();
            let pid = pid.map_err(|error| gone(request.init_pid, error.into()))?;
            let visit = Visit::begin(pid.map(|fd| (kind::PID, fd)).into_iter().collect(), 0)?;
            match clone_inside(&entry, request.init_pid, init)? {
                Cloned::Child => {
                    // It stays.
                    std::mem::forget(visit);
                    Cloned::Child
                }
                parent => visit.end().map(|()| parent)?,
            }
        }
    };
    let (pid, pidfd) = match cloned {
        Cloned::Child => {
            drop(ours);
            let preserved = request.preserved;
            let joiner = Joiner {
                plan: &plan,
                namespaces: &namespaces,
                user,
                root: root.as_ref(),
                init,
                entry: &entry,
                preserved,
            };
            let work = || joiner.join_container(request.stdio, filter.as_ref(), &theirs);
            init::run(&theirs, work)
        }
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    drop(theirs);
    let born_on = stay.map(|stay| stay.on);
    let listener = filter.as_ref().and_then(Filter::listener);
    let child = Born { channel: &ours, pid, pidfd: &pidfd };
    RdtPlan::of(linux, request.id)?
        .map_or(Ok(()), |rdt| rdt.add(pid))
        .map_err(|error| create::end(&pidfd, error))?;
    let ready = create::follow(&child, |asked| answer(pid, asked), listener)?;
    create::started(&ours, &pidfd)?;
    Ok(Executed { pid, pidfd, console: ready.console, warnings: ready.warnings, born_on })
}

const BUSY: i32 = Errno::BUSY.raw_os_error();

/// The user namespace of the container, as the new process comes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UserNamespace {
    /// It is the caller's.
    Same,
    /// It is the caller's, who has no rights over the host's namespaces: he can't come back from others, nor join
    /// what the container has in common with the host.
    Limited,
    /// It is joined with all others.
    Joined,
    /// It is joined before all others: without privileges it is only from there that they can be joined.
    First,
}

impl UserNamespace {
    fn of(namespaces: &Namespaces, init: i32, held: BorrowedFd<'_>) -> Result<Self> {
        let is_own = |user: OwnedFd| birth::is_here(kind::USER, user.as_fd());
        let other = namespaces.separate(kind::USER) && !is_own(of_init(init, "ns/user", held)?);
        Ok(match (other, userns::is_unprivileged()) {
            (false, false) => Self::Same,
            (false, true) => Self::Limited,
            (true, false) => Self::Joined,
            (true, true) => Self::First,
        })
    }

    fn is_callers(self) -> bool {
        matches!(self, Self::Same | Self::Limited)
    }
}

/// What a link in the directory of init in `/proc` leads to.
fn of_init(pid: i32, name: &str, held: BorrowedFd<'_>) -> Result<OwnedFd> {
    let path = PathBuf::from(format!("/proc/{pid}/{name}"));
    let opened = rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let opened = opened.map_err(|errno| Error::NamespaceOpen {
        kind: "container".into(),
        path,
        source: errno.into(),
    })?;
    // What was opened is this process's only if it still has its number.
    kill_held(held, 0).map_err(|error| gone(pid, error.into()))?;
    Ok(opened)
}

fn answer(pid: i32, asked: &Report) -> Result<Option<String>> {
    match asked {
        Report::OomScore { score } => init::set_oom_score_of(pid, *score),
        _ => Err(Error::InitDied),
    }
}

/// The birth of a process from another that stays in namespaces of `init`.
fn through_middle(held: BorrowedFd<'_>, kinds: u64, entry: &Entry, oom_score: Option<i32>) -> Result<Cloned> {
    let args = CloneArgs { cgroup: entry.birth().map(AsFd::as_fd), ..CloneArgs::default() };
    birth::through_middle(
        0,
        args,
        |_| Err(Error::InitDied),
        |_| {
            init::pass_on_oom_score(oom_score);
            join(held, kinds)
        },
    )
}

/// A new process in the container's cgroup.
fn clone_inside(entry: &Entry, init: i32, held: BorrowedFd<'_>) -> Result<Cloned> {
    let cloned = match clone_into(entry.birth()) {
        // The container has moved its processes further down, and its own cgroup takes none any more.
        Err(error) if entry.birth().is_some() && error.raw_os_error() == Some(BUSY) => {
            clone_into(Some(&cgroup_of(init, held)?))
        }
        result => result,
    };
    cloned.map_err(|error| Error::Clone { source: error.into() })
}

fn join(init: BorrowedFd<'_>, kinds: u64) -> Result<()> {
    namespace::join(init, kinds)
        .map_err(|error| Error::NamespaceJoin { kind: "container".into(), source: error.into() })
}

fn clone_into(cgroup: Option<&OwnedFd>) -> std::io::Result<Cloned> {
    clone3(CloneArgs { cgroup: cgroup.map(AsFd::as_fd), ..CloneArgs::default() })
}

/// The cgroup (of version 2) that a process is in now.
fn cgroup_of(pid: i32, held: BorrowedFd<'_>) -> Result<OwnedFd> {
    let file = PathBuf::from(format!("/proc/{pid}/cgroup"));
    let text = std::fs::read(&file).map_err(|error| Error::File {
        operation: "read".into(),
        path: file,
        source: error.into(),
    })?;
    // What was read is about this process only if it still has its number.
    kill_held(held, 0).map_err(|error| gone(pid, error.into()))?;
    match Cgroup::open(unified_path(&text))?.entry()? {
        Entry::Birth(directory) => Ok(directory),
        Entry::Tasks(_) => Err(Error::CgroupUnsupported { reason: "it is busy".into() }),
    }
}

/// The line of version 2 in proc_pid_cgroup(5). The container may have given its groups any names but with a newline.
fn unified_path(text: &[u8]) -> &Path {
    let path = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::"));
    Path::new(OsStr::from_bytes(path.unwrap_or_default()))
}

fn seccomp_filter(owner: Owner<'_>, cache: Option<&Path>) -> Result<Option<Filter>> {
    let profile = owner.spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref());
    profile.map(|profile| Filter::of(profile, cache, owner)).transpose()
}

fn open_init(pid: i32) -> Result<OwnedFd> {
    let number = Pid::from_raw(pid).ok_or(Errno::SRCH);
    let opened = number.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()));
    opened.map_err(|errno| gone(pid, errno.into()))
}

fn gone(pid: i32, source: Cause) -> Error {
    Error::NamespaceOpen { kind: "container".into(), path: format!("/proc/{pid}").into(), source }
}

/// Keeps this process, and the children that it gets meanwhile, on some processors until it is dropped.
struct Stay {
    before: CpuSet,
    /// A bit for each of the first 64 processors.
    on: u64,
}

impl Stay {
    fn begin(processors: &[usize]) -> Result<Self> {
        let before = rustix::thread::sched_getaffinity(None).map_err(affinity)?;
        stay_on(processors)?;
        let mut stay = Self { before, on: 0 };
        let now = rustix::thread::sched_getaffinity(None).map_err(affinity)?;
        stay.on =
            (0..64).filter(|processor| now.is_set(*processor)).fold(0, |all, processor| all | 1 << processor);
        Ok(stay)
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        // What was allowed before can only fail to be when the host has taken the processors away.
        let _ = rustix::thread::sched_setaffinity(None, &self.before);
    }
}

fn stay_on(processors: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    processors.iter().for_each(|processor| set.set(*processor));
    rustix::thread::sched_setaffinity(None, &set).map_err(affinity)
}

fn affinity(errno: Errno) -> Error {
    Error::Attribute { what: "process.execCPUAffinity".into(), source: errno.into() }
}

/// What the new process needs on its way in.
struct Joiner<'a> {
    plan: &'a ProcessPlan,
    namespaces: &'a Namespaces,
    user: UserNamespace,
    /// Init's root directory, where its mount namespace does not tell.
    root: Option<&'a OwnedFd>,
    init: BorrowedFd<'a>,
    entry: &'a Entry,
    preserved: u16,
}

impl Joiner<'_> {
    fn join_container(&self, stdio: Stdio, filter: Option<&Filter>, channel: &Channel) -> Result<Infallible> {
        let mut warnings = Vec::new();
        init::set_oom_score(self.plan, !self.user.is_callers(), channel, &mut warnings)?;
        init::begin()?;
        init::leave_keys(self.plan);
        init::through_proc(self.plan)?;
        self.entry.enter().map_err(|errno| Error::Attribute {
            what: "cgroup of the container".into(),
            source: errno.into(),
        })?;
        if let Some(processors) = &self.plan.affinity.last {
            stay_on(processors)?;
        }
        // All that init is in, at once; the root directory changes with the mount namespace. A namespace that is also
        // ours does no harm, except that nobody can join their own user namespace, nor, without privileges, what is
        // the host's.
        let always = kind::MOUNT | kind::CGROUP | kind::UTS | kind::IPC | kind::NET;
        let own = |kinds: &[u64]| {
            kinds.iter().filter(|kind| self.namespaces.separate(**kind)).fold(0, |all, kind| all | kind)
        };
        let joined = match self.user {
            UserNamespace::Same => (always & !kind::MOUNT) | own(&[kind::TIME, kind::MOUNT]),
            UserNamespace::Joined => always | kind::USER | own(&[kind::TIME]),
            UserNamespace::Limited | UserNamespace::First => {
                own(&[kind::MOUNT, kind::CGROUP, kind::UTS, kind::IPC, kind::NET, kind::TIME])
            }
        };
        if joined != 0 {
            join(self.init, joined)?;
        }
        if let Some(root) = self.root {
            change_root(root)?;
        }
        if !self.user.is_callers() {
            init::become_mapped_root()?;
        }
        streams::connect(stdio, self.plan.terminal_size, Console::Leave, channel)?;
        let plan = self.plan;
        init::finish(
            &Ending { plan, filter, channel, gate: &Gate::Channel, hooks: None, preserved: self.preserved },
            warnings,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_version_2_may_have_any_name() {
        let cases: [(&[u8], &[u8]); 3] = [
            (b"4:cpu:/a\n0::/barge-x/\xe9 0\n", b"/barge-x/\xe9 0"),
            (b"9:name=\xff:/\xff\n0::/\n", b"/"),
            (b"4:cpu:/a\n", b""),
        ];
        for (text, expected) in cases {
            assert_eq!(unified_path(text), Path::new(OsStr::from_bytes(expected)));
        }
    }
}
