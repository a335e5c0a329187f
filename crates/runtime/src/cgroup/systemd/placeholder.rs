//! A process that does nothing, in a scope until the container's init is there: systemd makes no empty scope.

use std::os::fd::OwnedFd;

use barge_sys::process::{CloneArgs, Cloned, clone3, exit_now};
use rustix::process::Signal;

use crate::error::{Error, Result};

/// Ends, and is reaped, when it is dropped; or when its parent ends.
#[derive(Debug)]
pub(crate) struct Placeholder {
    pid: i32,
    pidfd: OwnedFd,
}

impl Placeholder {
    pub(super) fn start() -> Result<Self> {
        let parent = rustix::process::getpid();
        match clone3(CloneArgs::default()).map_err(|error| Error::Clone { source: error.into() })? {
            Cloned::Child => wait(parent),
            Cloned::Parent { pid, pidfd } => Ok(Self { pid, pidfd }),
        }
    }

    /// Whether it is in the cgroup of a unit, in whichever hierarchy.
    pub(super) fn is_in(&self, unit: &str) -> bool {
        // Groups of others that it was born in may have any names.
        let text = std::fs::read(format!("/proc/{}/cgroup", self.pid)).unwrap_or_default();
        let mut names =
            text.split(|byte| *byte == b'\n').filter_map(|line| line.rsplit(|b| *b == b'/').next());
        names.any(|name| name == unit.as_bytes())
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
    }
}

fn wait(parent: rustix::process::Pid) -> ! {
    // Systemd ends a scope with a signal that our caller may have blocked.
    let _ = barge_sys::signal::unblock_all();
    let told = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // The parent may have died before the wish was known.
    if told.is_ok() && rustix::process::getppid() == Some(parent) {
        loop {
            rustix::event::pause();
        }
    }
    exit_now(1)
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        // Where it can't be killed, it ends when we do.
        crate::create::kill_and_reap(&self.pidfd);
    }
}
