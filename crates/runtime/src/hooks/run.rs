//! One hook, from its birth to its end.
//!
//! ```text
//! us                                   hook (its own process group)
//!  ├── memory file: the state ──────>  stdin     nothing can block or break on either side
//!  │<───────────────────────── pipe ─  stdout    read and thrown away
//!  │<───────────────────────── pipe ─  stderr    read; its beginning is for the error's text
//!  └── waits for its end or its time
//! ```
//!
//! It works in a container's init too: it needs no `/proc`, and no thread. What a hook prints is not to be trusted.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use barge_sys::process::{
    StandardStream, close_on_exec_from, duplicate_onto, execve, exit_now, fork, kill, reset_signals,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, OFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, waitpid};

use super::HookPlan;

/// What of its error output is kept: a failure travels in one packet.
const KEPT: usize = 2048;
/// How often to look where a filter refuses a descriptor for the hook.
const LOOK: Duration = Duration::from_millis(5);
const SIGKILL: i32 = Signal::KILL.as_raw();
/// A shell's code for a program that could not be run.
const NOT_RUN: i32 = 127;

/// Runs a hook to its end, in `directory` or where this process is. Why it failed, in words.
pub(super) fn run(hook: &HookPlan, state: &[u8], directory: Option<&Path>) -> Result<(), String> {
    let stdin = memory(state).map_err(|error| format!("state for its standard input: {error}"))?;
    let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|errno| format!("pipe: {errno}"));
    let (output, stdout) = pipe()?;
    let (errors, stderr) = pipe()?;
    let child = fork().map_err(|error| format!("fork: {error}"))?;
    let Some(pid) = child else { become_hook(hook, [stdin.into(), stdout, stderr], directory) };
    drop((stdin, stdout, stderr));
    let mut running = Running::of(pid, [output, errors]);
    let status = running.wait(hook.timeout)?;
    if status.exit_status() == Some(0) {
        return Ok(());
    }
    let how = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown end".into(),
    };
    match running.said() {
        said if said.is_empty() => Err(how),
        said => Err(format!("{how}, stderr: {said}")),
    }
}

/// A file in memory with `bytes`, read from its beginning. Unlike a pipe it takes any amount, read or not.
fn memory(bytes: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("state", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// In the child: becomes the hook's program, or says on its standard error why not.
fn become_hook(hook: &HookPlan, streams: [OwnedFd; 3], directory: Option<&Path>) -> ! {
    let failure = match prepare(streams, directory) {
        Ok(()) => {
            let arguments: Vec<_> = hook.arguments.iter().map(|text| text.as_c_str()).collect();
            let environment: Vec<_> = hook.environment.iter().map(|text| text.as_c_str()).collect();
            let error = execve(&hook.path, &arguments, &environment);
            format!("exec {}: {error}", hook.path.to_string_lossy())
        }
        Err(error) => format!("prepare the hook: {error}"),
    };
    // If even this can't be said, the exit code has to do.
    let _ = rustix::io::write(rustix::stdio::stderr(), failure.as_bytes());
    exit_now(NOT_RUN)
}

fn prepare(streams: [OwnedFd; 3], directory: Option<&Path>) -> std::io::Result<()> {
    let [stdin, stdout, stderr] = streams;
    duplicate_onto(stdin.as_fd(), StandardStream::Input)?;
    duplicate_onto(stdout.as_fd(), StandardStream::Output)?;
    duplicate_onto(stderr.as_fd(), StandardStream::Error)?;
    // A filter that refuses this holds in an init, which has done it already for all that it inherited.
    let _ = close_on_exec_from(3);
    reset_signals()?;
    rustix::process::setpgid(None, None)?;
    match directory {
        Some(directory) => Ok(rustix::process::chdir(directory)?),
        None => Ok(()),
    }
}

/// A hook that runs, and what it prints.
struct Running {
    pid: i32,
    pidfd: Option<OwnedFd>,
    /// Standard output and error, while they are open.
    pipes: [Option<OwnedFd>; 2],
    kept: Vec<u8>,
}

impl Running {
    fn of(pid: i32, pipes: [OwnedFd; 2]) -> Self {
        for pipe in &pipes {
            // Where this fails, a read still only follows a poll.
            let _ = rustix::fs::fcntl_setfl(pipe, OFlags::NONBLOCK);
        }
        // Both sides set the group: whoever comes first, it is set before anybody needs it.
        let child = Pid::from_raw(pid);
        let _ = rustix::process::setpgid(child, child);
        let pidfd = child.and_then(|child| rustix::process::pidfd_open(child, PidfdFlags::empty()).ok());
        Self { pid, pidfd, pipes: pipes.map(Some), kept: Vec::new() }
    }

    /// Until it has ended. Whatever it leaves running keeps its pipes, and us not from going on.
    fn wait(&mut self, timeout: Option<Duration>) -> Result<WaitStatus, String> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if let Some(status) = self.ended(WaitOptions::NOHANG)? {
                self.drain();
                return Ok(status);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                self.end();
                let after = timeout.unwrap_or_default().as_secs();
                return Err(format!("did not end within its timeout of {after} s"));
            }
            self.sleep(left);
        }
    }

    fn ended(&self, options: WaitOptions) -> Result<Option<WaitStatus>, String> {
        let pid = Pid::from_raw(self.pid);
        let waited = rustix::io::retry_on_intr(|| waitpid(pid, options));
        waited.map(|ended| ended.map(|(_, status)| status)).map_err(|errno| format!("wait: {errno}"))
    }

    /// Waits for output, the end, or `left`.
    fn sleep(&mut self, left: Option<Duration>) {
        let limit = match &self.pidfd {
            Some(_) => left,
            None => Some(left.unwrap_or(LOOK).min(LOOK)),
        };
        // A limit too long for the kernel's clock is as good as a very long one: the loop comes back.
        let limit = limit.map(|limit| rustix::time::Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX).min(1 << 30),
            tv_nsec: i64::from(limit.subsec_nanos()),
        });
        let mut waited: Vec<PollFd<'_>> =
            self.pipes.iter().flatten().map(|pipe| PollFd::new(pipe, PollFlags::IN)).collect();
        waited.extend(self.pidfd.as_ref().map(|pidfd| PollFd::new(pidfd, PollFlags::IN)));
        // A failure or a signal only means to look again.
        let _ = poll(&mut waited, limit.as_ref());
        drop(waited);
        self.drain();
    }

    /// Reads what is there, at most a full pipe of each: a hook's children may go on printing for ever.
    fn drain(&mut self) {
        const ROUNDS: usize = 16;
        let mut buffer = [0u8; 4096];
        for (index, place) in self.pipes.iter_mut().enumerate() {
            for _ in 0..ROUNDS {
                let Some(pipe) = place.as_ref() else { break };
                match rustix::io::read(pipe, &mut buffer) {
                    Ok(0) => *place = None,
                    Ok(count) if index == 1 => {
                        let room = KEPT.saturating_sub(self.kept.len()).min(count);
                        self.kept.extend_from_slice(&buffer[..room]);
                    }
                    Ok(_) => {}
                    Err(Errno::AGAIN | Errno::INTR) => break,
                    Err(_) => *place = None,
                }
            }
        }
    }

    /// Ends it with all of its group.
    fn end(&self) {
        // The group is there as long as its leader has not been reaped.
        let _ = kill(-self.pid, SIGKILL);
        let _ = kill(self.pid, SIGKILL);
        let _ = self.ended(WaitOptions::empty());
    }

    /// What it wrote to its standard error, on one line without control characters.
    fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}
