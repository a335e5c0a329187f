//! Start: from a prepared container to a running one, or back to nothing.

use std::os::fd::OwnedFd;

use barge_runtime::cgroup::OomWatch;
use barge_runtime::{Cgroup, Created, Inputs, Poststop, Stdio};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, WaitOptions, waitpid};

use super::{Phase, Running, Supervisor};
use crate::io::{Ends, pipes};
use crate::poller::{Interest, Token};
use crate::protocol::{Failure, Started};
use crate::record::report;
use crate::{Error, Result};

impl Supervisor {
    /// Creates the container and runs its program. When that fails nothing of it stays, and the shim leaves.
    pub(super) fn start(&mut self, netns: bool, fds: Vec<OwnedFd>) -> Result<Started, Failure> {
        let Phase::Prepared(prepared) = &mut self.phase else {
            return Err(Failure::conflict("the container is already started"));
        };
        let prepared = std::mem::replace(prepared, Err(Failure::conflict("the container is being started")));
        let result = prepared.and_then(|prepared| {
            let mut fds = fds.into_iter();
            let netns = if netns { fds.next() } else { None };
            self.held = fds.collect();
            let (stdio, ends) = self.stdio()?;
            let mut created = prepared.create(Inputs { stdio, netns })?;
            match created.start().map_err(Error::from).and_then(|()| terminal_or(&mut created, ends)) {
                Ok(ends) => {
                    // Kept to the very end: the container's own does not wait for its filesystem to be written out.
                    self.held.extend(created.rootfs.take());
                    Ok(self.run_on(created, ends))
                }
                Err(error) => {
                    abandon(&mut created);
                    Err(error.into())
                }
            }
        });
        if result.is_err() {
            self.give_up();
        }
        result
    }

    fn stdio(&self) -> Result<(Stdio, Ends)> {
        if self.plan.terminal {
            return Ok((Stdio::Terminal { size: self.config.console_size }, Ends::default()));
        }
        pipes(self.config.stdin).map_err(|source| Error::Stream { what: "pipes", source })
    }

    fn run_on(&mut self, mut created: Created, ends: Ends) -> Started {
        let poststop = created.poststop();
        let Created { pid, pidfd, cgroup, warnings, .. } = created;
        let started_at = Timestamp::now();
        for warning in &warnings {
            report(warning);
        }
        self.streams.connect(&self.poller, ends, &mut self.buffer);
        let memory = self.watch_memory(&cgroup);
        let (paused, oom_told) = (false, false);
        let running = Running { pid, pidfd, cgroup, started_at, paused, poststop, memory, oom_told };
        self.phase = Phase::Running(running);
        Started { pid, started_at, warnings }
    }

    /// Only the news of it depends on this: whether there was want of memory is looked up again at the end.
    fn watch_memory(&self, cgroup: &Cgroup) -> Option<OomWatch> {
        let watch = match cgroup.watch_oom() {
            Ok(watch) => watch?,
            Err(error) => {
                report(&error.to_string());
                return None;
            }
        };
        self.poller.add(&watch, Token::Memory, Interest::READ).ok()?;
        Some(watch)
    }

    /// Leaves before there was a container: the prepared parts undo themselves, attached clients see the end.
    pub(super) fn give_up(&mut self) {
        self.streams.finish(&self.poller);
        self.remove_socket();
        self.phase = Phase::Over;
    }
}

/// The ends of the process's terminal if it got one, or else its pipes.
pub(super) fn terminal_or(created: &mut Created, ends: Ends) -> Result<Ends> {
    match created.console.take() {
        Some(master) => Ends::terminal(master).map_err(|source| Error::Stream { what: "terminal", source }),
        None => Ok(ends),
    }
}

/// Ends and reaps an init that will not run its program, and removes its cgroup.
fn abandon(created: &mut Created) {
    // It may have ended by itself after it said why.
    let _ = barge_sys::signal::send(&created.pidfd, Signal::KILL.as_raw());
    let _ = rustix::io::retry_on_intr(|| waitpid(Pid::from_raw(created.pid), WaitOptions::empty()));
    if let Err(error) = created.cgroup.remove() {
        report(&error.to_string());
    }
    created.poststop().iter().flat_map(Poststop::run).for_each(|failure| report(&failure));
}
