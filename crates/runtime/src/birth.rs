//! How a new process comes into namespaces that only a process on its way there can give birth in.
//!
//! ```text
//! usual      parent ─clone3─> init
//! joined     parent: goes there ─clone3─> init; comes back                          Visit
//! user       parent ─clone3─> middle: into the others, then into the user namespace
//! namespace    ^                ├─ MapIds ──> parent compares or writes the maps
//!              │                ├─clone3(CLONE_PARENT)─> init, a child of the parent
//!              └───── Born ─────┘ and ends
//! ```
//!
//! Whoever joins a user namespace can never come back, nor can who has no rights over the host's from the others: the
//! parent can't go there itself. What the new process does is not decided here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use barge_sys::namespace::{self, kind};
use barge_sys::process::{CloneArgs, Cloned, clone3, exit_now};
use rustix::io::Errno;

use crate::channel::{Channel, Report};
use crate::create::{PATIENCE, kill_and_reap, still_going};
use crate::error::{Error, Result};
use crate::init;
use crate::plan::namespaces;
use crate::procfs;
use crate::userns;

/// The namespaces of a container that is to be born.
#[derive(Debug)]
pub(crate) struct Ways<'a> {
    /// `CLONE_NEW*` of those to make.
    pub(crate) new: u64,
    /// Those to join.
    pub(crate) joins: Vec<(u64, OwnedFd)>,
    /// The offsets of a new time namespace.
    pub(crate) offsets: &'a str,
    pub(crate) oom_score: Option<i32>,
}

impl Ways<'_> {
    /// Whether the parent could not come back from where init is to be born.
    pub(crate) fn need_middle(&self) -> bool {
        let joins = |wanted: fn(u64) -> bool| self.joins.iter().any(|(kind, _)| wanted(*kind));
        // Without privileges it is only inside the user namespace that there are rights to go further.
        let leaves = joins(is_for_children)
            || self.new & kind::TIME != 0
            || (self.new & kind::USER != 0 && !self.joins.is_empty());
        joins(|kind| kind == kind::USER) || (leaves && userns::is_unprivileged())
    }

    /// Clones the container's init, which gets the namespaces that it can join by itself as the second value.
    /// Returns in it, too.
    pub(crate) fn clone_init(self, args: CloneArgs<'_>) -> Result<(Cloned, Vec<(u64, OwnedFd)>)> {
        let Self { new, joins, offsets, .. } = self;
        // A process is born in its pid and time namespaces; and with a user namespace of its own it would have no
        // right to join anything any more. The parent goes there for the moment of the birth.
        let all = new & kind::USER != 0;
        let (before, after) = joins.into_iter().partition(|(kind, _)| all || is_for_children(*kind));
        // Time namespaces are only entered by children of those who make one.
        let visit = Visit::begin(before, new & kind::TIME)?;
        set_clocks(offsets)?;
        let args = CloneArgs { namespaces: new & !(kind::CGROUP | kind::TIME), ..args };
        match clone(args)? {
            Cloned::Child => {
                // It stays.
                std::mem::forget(visit);
                Ok((Cloned::Child, after))
            }
            parent => visit.end().map(|()| (parent, after)),
        }
    }

    /// As [`Ways::clone_init`], for ways that [need a middle](Ways::need_middle). `maps` writes or checks the id maps
    /// of the process that it is given, if another user namespace is among them.
    pub(crate) fn clone_within(
        self,
        args: CloneArgs<'_>,
        maps: impl Fn(i32) -> Result<()>,
    ) -> Result<Cloned> {
        let Self { new, joins, offsets, oom_score } = self;
        let args = CloneArgs { namespaces: new & !(kind::CGROUP | kind::TIME | kind::USER), ..args };
        through_middle(new & kind::USER, args, maps, |middle| {
            enter(middle, joins, new & kind::USER != 0)?;
            init::pass_on_oom_score(oom_score);
            unshare_time(new & kind::TIME)?;
            set_clocks(offsets)
        })
    }
}

/// A process between the parent and the one that is to be born, on its way into a user namespace.
#[derive(Debug)]
pub(crate) struct Middle(Channel);

impl Middle {
    /// Waits until the parent is content with the id maps.
    fn maps(&self) -> Result<()> {
        self.0.report(&Report::MapIds, None)?;
        if self.0.wait()? { Ok(()) } else { exit_now(0) }
    }
}

/// Joins all, those that the user namespace may own after it. Where there is none, all are the caller's to join.
fn enter(middle: &Middle, joins: Vec<(u64, OwnedFd)>, new_user: bool) -> Result<()> {
    let (user, others): (Vec<_>, Vec<_>) = joins.into_iter().partition(|(kind, _)| *kind == kind::USER);
    if user.is_empty() && !new_user {
        return others.iter().try_for_each(|(kind, fd)| init::join(*kind, fd));
    }
    // Where the user namespace forbids it, nobody could give up these groups any more.
    let _ = rustix::thread::set_thread_groups(&[]);
    let mut later = Vec::new();
    for (kind, fd) in others {
        match namespace::join(fd.as_fd(), kind) {
            Err(error) if is_forbidden(&error) => later.push((kind, fd)),
            result => result.map_err(|error| not_joined(kind, error))?,
        }
    }
    for (kind, fd) in &user {
        init::join(*kind, fd)?;
    }
    middle.maps()?;
    later.iter().try_for_each(|(kind, fd)| init::join(*kind, fd))
}

fn not_joined(kind: u64, error: io::Error) -> Error {
    Error::NamespaceJoin { kind: namespaces::name(kind).into(), source: error.into() }
}

fn is_forbidden(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::PERM.raw_os_error())
}

/// Clones a process from inside a user namespace; returns in it, too.
///
/// `enter` takes the middle there, which begins with new namespaces of the kinds `own`.
pub(crate) fn through_middle(
    own: u64,
    args: CloneArgs<'_>,
    maps: impl Fn(i32) -> Result<()>,
    enter: impl FnOnce(&Middle) -> Result<()>,
) -> Result<Cloned> {
    let (ours, theirs) = Channel::pair()?;
    match clone(CloneArgs { namespaces: own, ..CloneArgs::default() })? {
        Cloned::Child => {
            drop(ours);
            bear(Middle(theirs), args, enter)
        }
        Cloned::Parent { pid, pidfd } => {
            drop(theirs);
            let born = await_birth(pid, &pidfd, &ours, maps);
            // Its work is done, or it is stopped by somebody in the container.
            kill_and_reap(&pidfd);
            born
        }
    }
}

/// The work of the middle. Only the process that it gives birth to returns from this.
fn bear(middle: Middle, args: CloneArgs<'_>, enter: impl FnOnce(&Middle) -> Result<()>) -> Result<Cloned> {
    // A panic must not lead back into the parent's code.
    let entered = catch_unwind(AssertUnwindSafe(|| enter(&middle))).unwrap_or(Err(Error::InitDied));
    // The newborn may have neighbours with all rights over its user namespace from its first moment. The middle has not,
    // and its id maps could not be written any more.
    let hidden = entered.and_then(|()| init::hide());
    let told = match hidden.and_then(|()| clone(CloneArgs { sibling: true, ..args })) {
        Ok(Cloned::Child) => return Ok(Cloned::Child),
        Ok(Cloned::Parent { pid, pidfd }) => middle.0.report(&Report::Born { pid }, Some(pidfd.as_fd())),
        Err(error) => middle.0.report(&Report::Failed(error), None),
    };
    // With the parent gone there is nobody to tell, and the newborn sees that by itself.
    exit_now(i32::from(told.is_err()))
}

fn await_birth(
    middle: i32,
    pidfd: &OwnedFd,
    news: &Channel,
    maps: impl Fn(i32) -> Result<()>,
) -> Result<Cloned> {
    news.look_up_every(PATIENCE)?;
    loop {
        match news.next(|| still_going(pidfd))? {
            Some((Report::MapIds, _)) => {
                maps(middle)?;
                news.go()?;
            }
            Some((Report::Born { pid }, Some(pidfd))) => return Ok(Cloned::Parent { pid, pidfd }),
            Some((Report::Failed(error), _)) => return Err(error),
            _ => return Err(Error::InitDied),
        }
    }
}

/// Whether a namespace is the one that this process is in.
pub(crate) fn is_here(kind: u64, namespace: BorrowedFd<'_>) -> bool {
    let here = rustix::fs::stat(format!("/proc/self/ns/{}", namespaces::name(kind)));
    here.is_ok_and(|here| {
        rustix::fs::fstat(namespace)
            .is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (here.st_dev, here.st_ino))
    })
}

fn clone(args: CloneArgs<'_>) -> Result<Cloned> {
    clone3(args).map_err(|error| Error::Clone { source: error.into() })
}

fn is_for_children(kind: u64) -> bool {
    matches!(kind, kind::PID | kind::TIME)
}

fn unshare_time(kinds: u64) -> Result<()> {
    if kinds == 0 {
        return Ok(());
    }
    namespace::unshare(kinds)
        .map_err(|error| Error::Attribute { what: "time namespace".into(), source: error.into() })
}

/// The offsets of the time namespace that this process has made, while nobody is in it.
fn set_clocks(offsets: &str) -> Result<()> {
    if offsets.is_empty() {
        return Ok(());
    }
    procfs::write(Path::new("self/timens_offsets"), offsets.as_bytes())
        .map_err(|errno| Error::Attribute { what: "linux.timeOffsets".into(), source: errno.into() })
}

/// A stay of this process in other namespaces, for a child to be born there.
pub(crate) struct Visit {
    home: Vec<(u64, OwnedFd)>,
}

impl Visit {
    /// Goes into the namespaces of `joins`, and makes new ones of the kinds `new` for children.
    pub(crate) fn begin(joins: Vec<(u64, OwnedFd)>, new: u64) -> Result<Self> {
        let mut visit = Self { home: Vec::new() };
        for (kind, fd) in joins {
            visit.remember(kind)?;
            init::join(kind, &fd)?;
        }
        if new != 0 {
            visit.remember(new)?;
            unshare_time(new)?;
        }
        Ok(visit)
    }

    fn remember(&mut self, kind: u64) -> Result<()> {
        let name = namespaces::name(kind);
        let path = PathBuf::from(format!("/proc/self/ns/{name}"));
        let fd = std::fs::File::open(&path).map_err(|error| Error::NamespaceOpen {
            kind: name.into(),
            path,
            source: error.into(),
        })?;
        self.home.push((kind, fd.into()));
        Ok(())
    }

    /// Comes back.
    pub(crate) fn end(mut self) -> Result<()> {
        self.home.drain(..).rev().try_for_each(|(kind, fd)| init::join(kind, &fd))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        for (kind, fd) in self.home.drain(..).rev() {
            // Reached only after a failure, which is what the caller hears of.
            let _ = init::join(kind, &fd);
        }
    }
}
