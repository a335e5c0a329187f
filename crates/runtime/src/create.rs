//! From a prepared container to one whose init waits for the word to run its program.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use barge_sys::namespace::kind;
use barge_sys::process::{CloneArgs, Cloned};
use rustix::process::{WaitId, WaitIdOptions};

use crate::birth::Ways;
use crate::cgroup::Cgroup;
use crate::channel::{Channel, Report};
use crate::error::{Error, Result};
use crate::hooks::HooksPlan;
use crate::init::{self, Gate, Init};
use crate::net_devices;
use crate::plan::{IdMaps, Plan};
use crate::prepare::{Prepared, Undo};
use crate::rdt::Membership;
use crate::request::Inputs;
use crate::seccomp::{Filter, Listener};
use crate::userns;

/// A container that is set up; its init waits.
///
/// The init is a child of the caller, who reaps it. When this is dropped before [`Created::start`], the init sees its
/// parent's end of the channel closed and leaves.
#[derive(Debug)]
pub struct Created {
    /// The init's pid as the caller sees it.
    pub pid: i32,
    /// A descriptor that becomes readable when the init has ended.
    pub pidfd: OwnedFd,
    /// The master of its terminal, if it has one.
    pub console: Option<OwnedFd>,
    /// The container's cgroup; the caller removes it at the end.
    pub cgroup: Cgroup,
    /// What could not be done as asked but does not stop the container, in words for its owner.
    pub warnings: Vec<String>,
    /// An overlay root, if that is what it has. Whoever keeps this until the container's end has been told spares the
    /// end the wait for the disk: it is here that the filesystem is unmounted when it is dropped last.
    pub rootfs: Option<OwnedFd>,
    channel: Channel,
    hooks: Option<HooksPlan>,
}

impl Created {
    /// Lets init run the program and waits until it does, or until it says why it can't (it is reaped then). A
    /// poststart hook that fails ends it too.
    pub fn start(&mut self) -> Result<()> {
        started(&self.channel, &self.pidfd)?;
        let hooks = self.hooks.as_ref();
        hooks.map_or(Ok(()), |hooks| hooks.poststart(self.pid)).inspect_err(|_| kill_and_reap(&self.pidfd))
    }

    /// Takes the specification's poststop hooks, for the time when the container is gone. [`Created`] itself never
    /// runs them: only its owner knows when nothing of it is left.
    pub fn poststop(&mut self) -> Option<Poststop> {
        self.hooks.take().map(Poststop)
    }
}

/// The hooks to run when a container has been removed.
#[derive(Debug)]
pub struct Poststop(HooksPlan);

impl Poststop {
    /// Runs all of them; what failed, in words. The container is no less gone for that.
    pub fn run(&self) -> Vec<String> {
        self.0.poststop()
    }
}

/// Lets a process go on, and waits until it has become its program, which closes its end.
pub(crate) fn started(channel: &Channel, pidfd: &OwnedFd) -> Result<()> {
    let failure = match channel.go().and_then(|()| channel.next(|| still_going(pidfd))) {
        Ok(None) => return Ok(()),
        Ok(Some((Report::Failed(error), _))) | Err(error) => error,
        Ok(Some(_)) => Error::Channel { source: rustix::io::Errno::PROTO.into() },
    };
    Err(end(pidfd, failure))
}

/// Ends a process that can't become what it should, for the reason that this returns. It is gone by then: its cgroup
/// can only be removed after that.
pub(crate) fn end(pidfd: &OwnedFd, failure: Error) -> Error {
    kill_and_reap(pidfd);
    failure
}

/// Kills a child and waits for its end; one that can't be killed is left.
pub(crate) fn kill_and_reap(pidfd: &OwnedFd) {
    if rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL).is_ok() {
        reap(pidfd);
    }
}

/// A child that waits for nothing of ours is looked at this often.
pub(crate) const PATIENCE: Duration = Duration::from_millis(200);

/// A process of the container may stop one that is on its way in, as it may kill it: whoever waited for that would wait
/// for ever.
pub(crate) fn still_going(pidfd: &OwnedFd) -> Result<()> {
    let look = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), look) {
        Ok(Some(_)) => Err(Error::Halted),
        // Not stopped; or its end, which the channel tells.
        Ok(None) | Err(_) => Ok(()),
    }
}

/// Waits for a child that is about to end.
pub(crate) fn reap(pidfd: &OwnedFd) {
    let wait = || rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    // Somebody else's reaping (SIGCHLD ignored) is as good as ours.
    let _ = rustix::io::retry_on_intr(wait);
}

/// A process as its parent has it once it is ready.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) console: Option<OwnedFd>,
    pub(crate) warnings: Vec<String>,
}

/// A new process as its parent has it.
#[derive(Debug)]
pub(crate) struct Born<'a> {
    pub(crate) channel: &'a Channel,
    pub(crate) pid: i32,
    pub(crate) pidfd: &'a OwnedFd,
}

/// Follows a new process until it is ready; on its failure reaps it and returns its error.
///
/// `answer` does what it stops and asks for, and says what could not be done.
pub(crate) fn follow(
    child: &Born<'_>,
    answer: impl Fn(&Report) -> Result<Option<String>>,
    listener: Option<&Listener>,
) -> Result<Ready> {
    let Born { channel, pid, pidfd } = *child;
    let mut console = None;
    let mut warnings = Vec::new();
    channel.look_up_every(PATIENCE).map_err(|error| end(pidfd, error))?;
    loop {
        let next = channel.next(|| still_going(pidfd)).and_then(|report| match report {
            Some((Report::Listener { number }, _)) => {
                let listener = listener.ok_or(Error::InitDied)?;
                listener.hand_over(pid, pidfd, number)?;
                channel.go().map(|()| None)
            }
            Some((Report::Console, fd)) => {
                console = fd;
                Ok(None)
            }
            Some((Report::Ready { warnings: more }, _)) => {
                warnings.extend(more);
                Ok(Some(()))
            }
            Some((Report::Failed(error), _)) => Err(error),
            Some((asked, _)) => answer(&asked).and_then(|warning| {
                warnings.extend(warning);
                channel.go().map(|()| None)
            }),
            None => Err(Error::InitDied),
        });
        match next {
            Ok(None) => {}
            Ok(Some(())) => return Ok(Ready { console, warnings }),
            Err(error) => return Err(end(pidfd, error)),
        }
    }
}

/// Does what init of `pid` asks for.
fn answer(plan: &Plan, pid: i32, asked: &Report, hooked: &Cell<bool>) -> Result<Option<String>> {
    match asked {
        Report::OomScore { score } => return init::set_oom_score_of(pid, *score),
        Report::MapIds => userns::write_maps(pid, &plan.ids),
        Report::Links => move_devices(plan, pid),
        Report::Mounted => {
            hooked.set(true);
            plan.hooks.as_ref().map_or(Ok(()), |hooks| hooks.create_in_runtime(pid))
        }
        _ => Err(Error::InitDied),
    }
    .map(|()| None)
}

fn move_devices(plan: &Plan, pid: i32) -> Result<()> {
    let path = std::path::PathBuf::from(format!("/proc/{pid}/ns/net"));
    let netns = std::fs::File::open(&path).map_err(|error| Error::NamespaceOpen {
        kind: "net".into(),
        path,
        source: error.into(),
    })?;
    net_devices::move_all(&plan.net_devices, netns.as_fd())
}

/// Makes the container's init.
pub(crate) fn create(prepared: Prepared, inputs: Inputs, gate: Gate) -> Result<Created> {
    let Prepared { plan, root, layout, cgroup, entry, filter, mut joins, preserved, mut warnings } = prepared;
    plan.check_separate(inputs.netns.is_some())?;
    let mut new = plan.namespaces.new;
    if let Some(netns) = inputs.netns {
        new &= !kind::NET;
        joins.retain(|(kind, _)| *kind != kind::NET);
        joins.push((kind::NET, netns));
    }
    let mounts = joins.iter().position(|(kind, _)| *kind == kind::MOUNT).map(|at| joins.remove(at).1);
    let user = joins.iter().find(|(kind, _)| *kind == kind::USER).map(|(_, fd)| fd);
    let sources = userns::open_sources(&plan, user)?;
    let (ours, theirs) = Channel::pair()?;
    let args = CloneArgs { cgroup: entry.birth().map(AsFd::as_fd), ..CloneArgs::default() };
    let ways = Ways { new, joins, offsets: &plan.namespaces.offsets, oom_score: plan.process.oom_score };
    let within = ways.need_middle();
    let (cloned, joins) = if within {
        (ways.clone_within(args, |middle| settle_maps(&plan, middle))?, Vec::new())
    } else {
        ways.clone_init(args)?
    };
    let (pid, pidfd) = match cloned {
        Cloned::Child => {
            drop(ours);
            let init = Init {
                plan: &plan,
                root: root.as_ref(),
                layout: &layout,
                entry: &entry,
                filter: filter.as_ref(),
                mapped: within,
                joins,
                new_network: new & kind::NET != 0,
                mounts,
                sources,
                stdio: inputs.stdio,
                channel: theirs,
                gate,
                preserved,
            };
            init_main(init)
        }
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    drop(theirs);
    drop(joins);
    let listener = filter.as_ref().and_then(Filter::listener);
    let child = Born { channel: &ours, pid, pidfd: &pidfd };
    let hooked = Cell::new(false);
    let followed = hand_over(&plan, &cgroup, pid)
        .and_then(|()| plan.rdt.as_ref().map(|rdt| Membership::begin(rdt, pid)).transpose())
        .map_err(|error| end(&pidfd, error))
        .and_then(|rdt| Ok((follow(&child, |asked| answer(&plan, pid, asked, &hooked), listener)?, rdt)));
    let ready = match followed {
        Ok((ready, rdt)) => {
            rdt.into_iter().for_each(Membership::keep);
            ready
        }
        Err(error) => {
            let killed = error == Error::InitDied && cgroup.get().is_some_and(Cgroup::oom_killed);
            let error = if killed { Error::InitOutOfMemory } else { error };
            drop(cgroup);
            if hooked.get() {
                // The failure is what the caller hears of.
                plan.hooks.iter().for_each(|hooks| drop(hooks.poststop()));
            }
            return Err(error);
        }
    };
    warnings.extend(ready.warnings);
    let Some(cgroup) = cgroup.keep() else { return Err(Error::InitDied) };
    Ok(Created {
        pid,
        pidfd,
        console: ready.console,
        cgroup,
        warnings,
        rootfs: root,
        channel: ours,
        hooks: plan.hooks,
    })
}

/// Gives a container that sees its cgroup as its own root the rights of an owner over it. Not before its init is
/// there: a root of another user namespace could not be born in a cgroup of somebody else.
fn hand_over(plan: &Plan, cgroup: &Undo, pid: i32) -> Result<()> {
    let (true, Some(cgroup)) = (plan.delegated, cgroup.get()) else { return Ok(()) };
    let namespaces = &plan.namespaces;
    let inside = plan.process.user.uid;
    let owner = match namespaces.separate(kind::USER) {
        true if namespaces.new & kind::USER != 0 => plan.ids.host_uid(inside),
        true => IdMaps::of_process(pid)?.host_uid(inside),
        false => Some(inside),
    };
    // One that the namespace has no number for is refused elsewhere.
    match owner.filter(|owner| *owner != rustix::process::geteuid().as_raw()) {
        Some(owner) => cgroup.delegate(owner),
        None => Ok(()),
    }
}

/// What waits for the maps of a user namespace, which the middle is in by now.
fn settle_maps(plan: &Plan, middle: i32) -> Result<()> {
    if plan.namespaces.new & kind::USER != 0 {
        return userns::write_maps(middle, &plan.ids);
    }
    userns::compare_maps(middle, &plan.ids)
}

fn init_main(init: Init<'_>) -> ! {
    // The channel has to outlive the container's set-up to carry its failure.
    let report = match init.channel.as_fd().try_clone_to_owned() {
        Ok(copy) => Channel::from(copy),
        Err(_) => barge_sys::process::exit_now(1),
    };
    init::run(&report, || init.become_container())
}
