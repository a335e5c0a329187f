//! The end of a container's groups: signals to all in them, and removal. Removing is walking (`tree`); here is what makes
//! it possible: nobody is left, nothing is frozen.

use std::fs;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Signal;

use super::{Cgroup, Places, failed, systemd, tree, v1};
use crate::error::{Error, Result};

impl Cgroup {
    /// Sends a signal to every process in it and below it; none escapes by forking.
    pub fn signal_all(&self, signal: i32) -> Result<()> {
        let kill = signal == Signal::KILL.as_raw();
        if kill
            && let Places::Unified(directory) = &self.places
            && fs::write(directory.join("cgroup.kill"), "1").is_ok()
        {
            return Ok(());
        }
        // Stopped processes can't fork; a signal reaches them when they are let go.
        let paused = self.is_frozen();
        let frozen = paused || self.freeze().is_ok();
        let sent = self.procs().and_then(|pids| send_all(pids, signal));
        // A paused container stays so, unless it is to die.
        if frozen && (!paused || kill) {
            self.thaw().or_else(gone)?;
        }
        if let (true, Places::Legacy(places)) = (kill, &self.places) {
            v1::thaw_below(places);
        }
        sent
    }

    /// Kills every process in it and below it, and waits until none is left.
    pub(crate) fn end(&self) -> Result<()> {
        for attempt in 0..1000_u64 {
            let left = self.everyone()?;
            if left.is_empty() {
                return Ok(());
            }
            if attempt.is_multiple_of(100) {
                self.signal_all(Signal::KILL.as_raw())?;
                // Those too that somebody has put into one hierarchy of version 1 only.
                send_all(left, Signal::KILL.as_raw())?;
            }
            std::thread::sleep(Duration::from_millis(attempt.min(10)));
        }
        Err(failed(self.directory()?, "wait for the end of all in", Errno::TIMEDOUT.into()))
    }

    /// As [`Cgroup::procs`], in any hierarchy.
    fn everyone(&self) -> Result<Vec<i32>> {
        let each = self.directories().into_iter().map(tree::processes);
        Ok(each.collect::<Result<Vec<_>>>()?.concat())
    }

    /// Removes it and everything below it; no process may be left. Not there at all is fine.
    ///
    /// Goes on after a failure and returns the first.
    pub fn remove(&self) -> Result<()> {
        let unit = self.scope.as_ref().map_or(Ok(()), systemd::remove);
        unit.and(self.remove_directories())
    }

    /// As [`Cgroup::remove`], and kills whoever is left: a process that a runtime had just put there when it was killed
    /// itself belongs to nobody else. Waits for up to ten seconds for their end.
    pub fn clear(&self) -> Result<()> {
        match self.remove() {
            Err(Error::Cgroup { source, .. }) if source.errno() == Errno::BUSY.raw_os_error() => {
                self.end()?;
                self.remove_directories()
            }
            result => result,
        }
    }

    fn remove_directories(&self) -> Result<()> {
        self.directories().into_iter().map(tree::remove).fold(Ok(()), Result::and)
    }

    /// Removes what was made for nothing. A group that somebody else has groups or processes in stays as it is.
    pub(super) fn abandon(&self) {
        self.directories().into_iter().for_each(|directory| drop(fs::remove_dir(directory)));
    }
}

/// Goes on after a failure and returns the first.
fn send_all(pids: Vec<i32>, signal: i32) -> Result<()> {
    pids.into_iter().map(|pid| send(pid, signal)).fold(Ok(()), Result::and)
}

/// Nobody is left in a group that somebody else has removed.
fn gone(error: Error) -> Result<()> {
    let absent = [Errno::NOENT.raw_os_error(), Errno::NODEV.raw_os_error()];
    match error {
        Error::Cgroup { source, .. } if absent.contains(&source.errno()) => Ok(()),
        error => Err(error),
    }
}

fn send(pid: i32, signal: i32) -> Result<()> {
    // Who is in no pid namespace of ours has the number 0, which would mean our own process group.
    if pid <= 0 {
        return Ok(());
    }
    match barge_sys::process::kill(pid, signal) {
        Ok(()) => Ok(()),
        // It has ended in the meantime.
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(()),
        Err(error) => Err(Error::Signal { signal, pid, source: error.into() }),
    }
}
