//! Reaping, and the container's end in its order.
//!
//! ```text
//! reap ─> kill the rest ─> last output ─> close log ─> remove cgroup ─> exit.json ─> Exited ─> close clients
//!      ─> poststop hooks ─> sync
//! ```

use std::fs;
use std::os::fd::AsFd;
use std::time::Instant;

use barge_runtime::Poststop;
use barge_runtime::cgroup::OomWatch;
use jiff::Timestamp;
use rustix::process::{Signal, WaitOptions, WaitStatus, wait};

use super::{DRAIN, Ended, ExecTask, LINGER, Phase, Running, Supervisor};
use crate::protocol::{Event, ExitRecord};
use crate::record::report;

impl Supervisor {
    /// Children have ended. Requests to end oneself are heard and not followed: the container needs its shim.
    pub(super) fn on_signals(&mut self) {
        while let Ok(Some(_)) = self.signals.next() {}
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            self.reaped(pid.as_raw_pid(), exit_code(status));
        }
    }

    /// Tells daemons of want of memory. What it makes of the container shows later.
    pub(super) fn on_memory(&mut self) {
        let Phase::Running(running) = &mut self.phase else { return };
        if running.memory.as_mut().is_some_and(OomWatch::happened) {
            running.oom_told = true;
            self.publish(Event::OutOfMemory);
        }
    }

    fn reaped(&mut self, pid: i32, exit_code: i32) {
        if let Some(exec) = self.execs.iter_mut().find(|exec| exec.pid == pid && exec.deadline().is_none()) {
            exec.end(exit_code);
        } else if matches!(&self.phase, Phase::Running(running) if running.pid == pid) {
            self.container_ended(exit_code);
        }
        // Anything else is an orphan that came here to be reaped, or a log's compression.
    }

    fn container_ended(&mut self, exit_code: i32) {
        let Phase::Running(running) = std::mem::replace(&mut self.phase, Phase::Over) else { return };
        let Running { pid, cgroup, started_at, oom_told, poststop, .. } = running;
        let (finished_at, deadline) = (Timestamp::now(), Instant::now() + DRAIN);
        // The kernel has ended a pid namespace with its first process; without one the others may live on.
        if !self.plan.dies_as_one
            && let Err(error) = cgroup.signal_all(Signal::KILL.as_raw())
        {
            report(&error.to_string());
        }
        self.phase = Phase::Ended(Ended {
            pid,
            cgroup,
            started_at,
            finished_at,
            exit_code,
            oom_told,
            poststop,
            deadline,
        });
    }

    /// Takes every step that has become possible.
    pub(super) fn advance(&mut self) {
        self.advance_execs();
        let now = Instant::now();
        if let Phase::Ended(ended) = &self.phase {
            let overdue = now >= ended.deadline;
            let drained = self.streams.drain(&self.poller, &mut self.buffer);
            let quiet = drained && !self.execs.iter().any(ExecTask::is_unfinished);
            if overdue && !drained {
                self.streams.cut_off(&self.poller, &mut self.buffer);
            }
            if overdue || quiet {
                self.conclude();
            }
        }
        if matches!(self.phase, Phase::Reported { until } if now >= until || !self.has_clients()) {
            self.phase = Phase::Over;
        }
    }

    fn has_clients(&self) -> bool {
        self.streams.has_clients() || self.execs.iter().any(|exec| exec.streams.has_clients())
    }

    /// Puts the container's end on record, once its output is complete.
    fn conclude(&mut self) {
        let until = Instant::now() + LINGER;
        let Phase::Ended(ended) = std::mem::replace(&mut self.phase, Phase::Reported { until }) else {
            return;
        };
        self.streams.close_log();
        let oom_killed = ended.cgroup.oom_killed();
        if let Err(error) = ended.cgroup.clear() {
            report(&error.to_string());
        }
        let record = ExitRecord {
            version: ExitRecord::VERSION,
            pid: ended.pid,
            exit_code: ended.exit_code,
            oom_killed,
            started_at: ended.started_at,
            finished_at: ended.finished_at,
        };
        let saved = record.save(&self.config.exit_file);
        self.held.clear();
        self.remove_socket();
        if oom_killed && !ended.oom_told {
            self.publish(Event::OutOfMemory);
        }
        self.publish(Event::Exited(record));
        // After the news: who sees the end of the output may ask the daemon for the exit code at once.
        self.streams.finish(&self.poller);
        // Nothing is left of the container, and nobody waits for its hooks.
        ended.poststop.iter().flat_map(Poststop::run).for_each(|failure| report(&failure));
        // Only against a crash of the machine: the daemon need not wait for the disk.
        let synced = saved.map(|file| if self.config.volatile { Ok(()) } else { file.sync_all() });
        match synced {
            Ok(Ok(())) => {}
            Ok(Err(error)) => report(&format!("sync {:?}: {error}", self.config.exit_file)),
            Err(error) => report(&error.to_string()),
        }
    }

    /// Takes the way in away, so that a new shim for this bundle never meets the old one's.
    pub(super) fn remove_socket(&mut self) {
        self.poller.delete(self.listener.as_fd());
        for file in ["shim.sock", "shim.pid"] {
            // The daemon may have removed the bundle already.
            let _ = fs::remove_file(self.bundle.join(file));
        }
    }
}

/// The code a shell would report: the process's own, or 128 and the signal that ended it.
fn exit_code(status: WaitStatus) -> i32 {
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(255)
}
