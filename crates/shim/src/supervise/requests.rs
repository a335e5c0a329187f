//! What a daemon may ask: each request checked against the container's phase, and carried out.

use std::os::fd::OwnedFd;

use barge_sys::signal;
use rustix::process::Signal;
use rustix::termios::{Winsize, tcsetwinsize};

use super::{Phase, Running, Supervisor};
use crate::Error;
use crate::io::Streams;
use crate::protocol::{Answer, Attach, Failure, Request, State, Status};

type Result<T, E = Failure> = std::result::Result<T, E>;

impl Supervisor {
    /// Carries out a request. Descriptors that it has no use for are closed.
    pub(super) fn serve(&mut self, request: Request, fds: Vec<OwnedFd>) -> Result<Answer> {
        match request {
            Request::Start { netns } => return self.start(netns, fds).map(Answer::Started),
            Request::Attach(attach) => self.attach(&attach, fds)?,
            Request::Exec(exec) => return self.exec(*exec, fds).map(Answer::Started),
            Request::Signal { signal, exec } => self.signal(signal, exec.as_deref())?,
            Request::SignalAll { signal } => self.running()?.cgroup.signal_all(signal)?,
            Request::Resize { exec, cols, rows } => self.resize(exec.as_deref(), cols, rows)?,
            Request::Pause => self.pause()?,
            Request::Unpause => self.unpause()?,
            Request::Update { resources } => self.running()?.cgroup.update(&resources)?,
            Request::Processes => return Ok(Answer::Processes(self.running()?.cgroup.procs()?)),
            Request::CloseStdin { exec } => self.close_stdin(exec.as_deref())?,
            Request::State => return Ok(Answer::State(self.state())),
            Request::Stats => return Ok(Answer::Stats(Box::new(self.running()?.cgroup.stats()))),
        }
        Ok(Answer::Done)
    }

    pub(super) fn running(&mut self) -> Result<&mut Running> {
        match &mut self.phase {
            Phase::Running(running) => Ok(running),
            Phase::Prepared(_) => Err(Failure::conflict("the container is not started")),
            _ => Err(Failure::not_found("the container has ended")),
        }
    }

    /// Joins a client. Before Start it waits; after the end it has nothing to wait for.
    fn attach(&mut self, attach: &Attach, fds: Vec<OwnedFd>) -> Result<()> {
        let found = fds.len();
        let Ok([socket]) = <[OwnedFd; 1]>::try_from(fds) else {
            return Err(Error::PacketFds { found, wanted: 1 }.into());
        };
        match (&attach.exec, &self.phase) {
            (_, Phase::Reported { .. } | Phase::Over) => {
                return Err(Failure::not_found("the container has ended"));
            }
            (None, _) => self.streams.attach(&self.poller, attach, socket),
            (Some(id), _) => {
                let exec = self.execs.iter_mut().find(|exec| exec.id == *id).ok_or_else(|| no_exec(id))?;
                exec.streams.attach(&self.poller, attach, socket);
            }
        }
        Ok(())
    }

    fn signal(&mut self, number: i32, exec: Option<&str>) -> Result<()> {
        let pidfd = match exec {
            None => &self.running()?.pidfd,
            Some(id) => self.exec_task(id)?.pidfd(),
        };
        signal::send(pidfd, number).map_err(|error| match error.raw_os_error() {
            Some(errno) if errno == rustix::io::Errno::SRCH.raw_os_error() => {
                Failure::not_found("the process has ended")
            }
            Some(errno) if errno == rustix::io::Errno::INVAL.raw_os_error() => {
                Failure::invalid(format!("signal {number} does not exist"))
            }
            _ => Failure::system(format!("send signal {number}: {error}")),
        })?;
        // On cgroup v1 a frozen process does not even die of SIGKILL.
        if number == Signal::KILL.as_raw() && self.running().is_ok_and(|running| running.paused) {
            self.unpause()?;
        }
        Ok(())
    }

    /// Sets a terminal's size. What has no terminal, or not any more, is left alone, as Docker does.
    fn resize(&mut self, exec: Option<&str>, cols: u16, rows: u16) -> Result<()> {
        if exec.is_none() && matches!(self.phase, Phase::Prepared(_)) {
            self.config.console_size = Some((cols, rows));
            return Ok(());
        }
        let streams: &Streams = match exec {
            None => &self.streams,
            Some(id) => &self.exec_task(id)?.streams,
        };
        let Some(console) = streams.console() else { return Ok(()) };
        let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(console, size).map_err(|error| Failure::system(format!("resize the terminal: {error}")))
    }

    fn pause(&mut self) -> Result<()> {
        let running = self.running()?;
        if running.paused {
            return Err(Failure::conflict("the container is already paused"));
        }
        running.cgroup.freeze()?;
        running.paused = true;
        Ok(())
    }

    fn unpause(&mut self) -> Result<()> {
        let running = self.running()?;
        if !running.paused {
            return Err(Failure::conflict("the container is not paused"));
        }
        running.cgroup.thaw()?;
        running.paused = false;
        Ok(())
    }

    fn close_stdin(&mut self, exec: Option<&str>) -> Result<()> {
        match exec {
            None => self.streams.close_stdin(),
            Some(id) => {
                let exec = self.execs.iter_mut().find(|exec| exec.id == id).ok_or_else(|| no_exec(id))?;
                exec.streams.close_stdin();
            }
        }
        Ok(())
    }

    fn state(&self) -> State {
        let (status, pid, started_at) = match &self.phase {
            Phase::Prepared(_) => (Status::Created, 0, None),
            Phase::Running(running) => {
                let status = if running.paused { Status::Paused } else { Status::Running };
                (status, running.pid, Some(running.started_at))
            }
            Phase::Ended(ended) => (Status::Stopping, ended.pid, Some(ended.started_at)),
            Phase::Reported { .. } | Phase::Over => (Status::Stopping, 0, None),
        };
        let execs = self
            .execs
            .iter()
            .filter(|exec| exec.is_unfinished())
            .map(|exec| (exec.id.clone(), exec.pid))
            .collect();
        State { status, pid, started_at, execs }
    }

    fn exec_task(&self, id: &str) -> Result<&super::ExecTask> {
        self.execs.iter().find(|exec| exec.id == id).ok_or_else(|| no_exec(id))
    }
}

fn no_exec(id: &str) -> Failure {
    Failure::not_found(format!("no exec {id} runs in the container"))
}
