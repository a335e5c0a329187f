//! More processes in the running container, each with its own streams.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use barge_oci::runtime_spec::Process;
use barge_runtime::{ExecRequest, Executed, Stdio};
use jiff::Timestamp;

use super::{DRAIN, LINGER, Supervisor, load_spec};
use crate::io::{Ends, Streams, pipes};
use crate::poller::Poller;
use crate::protocol::{Event, Exec, Failure, Started};
use crate::{Error, Result};

/// A process that a daemon added.
pub(super) struct ExecTask {
    pub(super) id: String,
    pub(super) number: u32,
    pub(super) pid: i32,
    pidfd: OwnedFd,
    pub(super) streams: Streams,
    ended: Option<ExecEnd>,
}

/// What is known of one that was reaped and whose output may not be complete yet.
#[derive(Clone, Copy)]
struct ExecEnd {
    exit_code: i32,
    deadline: Instant,
    /// Its end was published; only clients that still read keep it here.
    published: bool,
}

impl ExecTask {
    pub(super) fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// When its last output or its last clients are given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ended.map(|end| end.deadline)
    }

    /// Whether its process is yet to be reaped, or its end to be published.
    pub(super) fn is_unfinished(&self) -> bool {
        self.ended.is_none_or(|end| !end.published)
    }

    /// The news of its end, once: when its output is written out, or must not be waited for any longer.
    fn conclude(&mut self, poller: &Poller, buffer: &mut [u8], now: Instant) -> Option<Event> {
        let end = self.ended.as_mut().filter(|end| !end.published)?;
        if now >= end.deadline {
            self.streams.cut_off(poller, buffer);
        } else if !self.streams.drain(poller, buffer) {
            return None;
        }
        (end.published, end.deadline) = (true, now + LINGER);
        Some(Event::ExecExited { id: self.id.clone(), exit_code: end.exit_code })
    }

    /// Its process was reaped.
    pub(super) fn end(&mut self, exit_code: i32) {
        self.ended = Some(ExecEnd { exit_code, deadline: Instant::now() + DRAIN, published: false });
    }
}

impl Supervisor {
    /// Runs a process; the clients are joined once it runs, so that a failure leaves their sockets untouched.
    pub(super) fn exec(&mut self, exec: Exec, fds: Vec<OwnedFd>) -> Result<Started, Failure> {
        let Exec { id, process, user, stdin, attach } = exec;
        if fds.len() != attach.len() {
            return Err(Error::PacketFds { found: fds.len(), wanted: attach.len() }.into());
        }
        if self.running()?.paused {
            return Err(Failure::conflict("the container is paused"));
        }
        if self.execs.iter().any(|exec| exec.id == id) {
            return Err(Failure::conflict(format!("exec {id} is already running")));
        }
        let terminal = process.terminal().unwrap_or(false);
        let (stdio, ends) = if terminal {
            (Stdio::Terminal { size: console_size(&process) }, Ends::default())
        } else {
            pipes(stdin).map_err(|source| Error::Stream { what: "pipes", source })?
        };
        let executed = self.execute(process, user, stdio)?;
        let started_at = Timestamp::now();
        let ends = match executed.console {
            Some(master) => {
                Ends::terminal(master).map_err(|source| Error::Stream { what: "terminal", source })?
            }
            None => ends,
        };
        let number = self.next_process;
        self.next_process = self.next_process.wrapping_add(1);
        let mut streams = Streams::new(number, stdin, terminal, None);
        for (attach, socket) in attach.iter().zip(fds) {
            streams.attach(&self.poller, attach, socket);
        }
        streams.connect(&self.poller, ends, &mut self.buffer);
        let Executed { pid, pidfd, warnings, .. } = executed;
        self.execs.push(ExecTask { id, number, pid, pidfd, streams, ended: None });
        Ok(Started { pid, started_at, warnings })
    }

    fn execute(&mut self, process: Process, user: Option<String>, stdio: Stdio) -> Result<Executed, Failure> {
        let spec = load_spec(&self.bundle)?;
        let seccomp_cache = self.config.seccomp_cache.clone();
        let groups = self.config.groups.clone();
        let (id, bundle) = (self.config.id.clone(), self.bundle.clone());
        let running = self.running()?;
        Ok(barge_runtime::exec(ExecRequest {
            init_pid: running.pid,
            init_pidfd: Some(running.pidfd.as_fd()),
            id: &id,
            bundle: &bundle,
            spec: &spec,
            process,
            user,
            groups,
            cgroup: &running.cgroup,
            stdio,
            preserved: 0,
            seccomp_cache,
        })?)
    }

    /// Publishes the execs that have ended and whose output is written out, and forgets those that nobody reads.
    pub(super) fn advance_execs(&mut self) {
        let now = Instant::now();
        for index in 0..self.execs.len() {
            let concluded = self.execs[index].conclude(&self.poller, &mut self.buffer, now);
            if let Some(event) = concluded {
                self.publish(event);
                // After the news: who sees the end of the output may ask the daemon for the exit code at once.
                self.execs[index].streams.finish(&self.poller);
            }
        }
        self.execs.retain(|exec| {
            exec.is_unfinished() || (exec.streams.has_clients() && exec.deadline().is_some_and(|at| now < at))
        });
    }
}

fn console_size(process: &Process) -> Option<(u16, u16)> {
    let size = process.console_size();
    let size = size.as_ref()?;
    let narrow = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
    Some((narrow(size.width()), narrow(size.height())))
}
