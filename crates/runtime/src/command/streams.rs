//! The command's own streams and terminal while a container runs in its foreground.
//!
//! ```text
//! our stdin ──> master of the container's terminal ──> our stdout
//! signals   ──> the container (SIGWINCH: the size instead)
//! pidfd     ──> is it over?
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use barge_sys::signal::SignalFd;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};
use rustix::time::Timespec;

use super::terminal::Terminal;
use crate::error::{Error, Result};
use crate::request::Stdio;
use crate::signals::{SIGCHLD, SIGPIPE, SIGURG, SIGWINCH, passed_on};

fn failed(what: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::Terminal { what: what.into(), source: errno.into() }
}

/// Copies of this process's own streams.
pub(super) fn own() -> Result<Stdio> {
    let copy = |fd: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(failed("copy a stream"));
    Ok(Stdio::Fds {
        stdin: copy(rustix::stdio::stdin())?,
        stdout: copy(rustix::stdio::stdout())?,
        stderr: copy(rustix::stdio::stderr())?,
    })
}

/// Whether a terminal has somebody to serve it.
pub(super) fn check_console(terminal: bool, detach: bool, socket: bool) -> Result<()> {
    let reason = match (terminal && detach, socket) {
        (true, false) => "cannot allocate tty if runc will detach without setting console socket",
        (false, true) => "cannot use console socket if runc will not detach or allocate tty",
        _ => return Ok(()),
    };
    Err(Error::Usage { reason: reason.into() })
}

/// Sends the master of a terminal to whoever listens on a Unix socket, as runc does.
pub(super) fn send_console(socket: &Path, master: &OwnedFd) -> Result<()> {
    send(socket, master, "/dev/pts/ptmx")
}

/// Sends a descriptor for a process to whoever listens on a Unix socket, as runc does.
pub(super) fn send_pidfd(socket: &Path, pidfd: &OwnedFd) -> Result<()> {
    send(socket, pidfd, "pidfd")
}

fn send(socket: &Path, fd: &OwnedFd, name: &str) -> Result<()> {
    let failed = |errno: Errno| Error::File {
        operation: "send a descriptor to".into(),
        path: socket.into(),
        source: errno.into(),
    };
    let flags = SocketFlags::CLOEXEC;
    let connection =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed)?;
    let address = SocketAddrUnix::new(socket).map_err(failed)?;
    rustix::net::connect(&connection, &address).map_err(failed)?;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    let name = [std::io::IoSlice::new(name.as_bytes())];
    rustix::net::sendmsg(&connection, &name, &mut ancillary, SendFlags::NOSIGNAL).map(drop).map_err(failed)
}

/// What is not passed on, and does nothing here: it tells of our own pipes, children and sockets. (runc does pass on
/// `SIGPIPE`, also when it was runc whose output nobody reads any more.)
const KEPT: [i32; 3] = [SIGPIPE, SIGCHLD, SIGURG];

/// How often to look whether a terminal takes input again, besides being told.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Waiting for a process in the foreground.
pub(super) struct Foreground {
    signals: Option<SignalFd>,
}

impl Foreground {
    /// Collects signals from now on, before the process exists. Nothing to do for one that is left to itself.
    pub(super) fn begin(detached: bool) -> Result<Self> {
        if detached {
            return Ok(Self { signals: None });
        }
        let signals = SignalFd::block(&passed_on(&KEPT))
            .map_err(|error| Error::Terminal { what: "signals".into(), source: error.into() })?;
        Ok(Self { signals: Some(signals) })
    }

    /// Serves a child until it has ended; its exit code, 128 + n for a signal.
    pub(super) fn wait(self, process: &OwnedFd, console: Option<OwnedFd>) -> Result<u8> {
        let Some(signals) = &self.signals else { return Ok(0) };
        let mut terminal = console.map(Terminal::serve);
        loop {
            let over = wait_once(signals, process, &mut terminal)?;
            while let Ok(Some(signal)) = signals.next() {
                match signal {
                    // It speaks of our terminal, and programs without one give it other meanings.
                    SIGWINCH => terminal.iter().for_each(Terminal::copy_size),
                    // It may have ended just now.
                    other => drop(barge_sys::signal::send(process, other)),
                }
            }
            if over {
                let code = code(process)?;
                terminal.into_iter().for_each(Terminal::drain);
                return Ok(code);
            }
        }
    }
}

/// Waits until there is something to do, and does what the terminal has. Whether the process has ended.
fn wait_once(signals: &SignalFd, process: &OwnedFd, terminal: &mut Option<Terminal>) -> Result<bool> {
    let mut ready = vec![PollFd::new(signals, PollFlags::IN), PollFd::new(process, PollFlags::IN)];
    let waits = terminal.as_ref().map(Terminal::waits).unwrap_or_default();
    let places = waits.map(|wait| {
        ready.extend(wait.clone());
        wait.map(|_| ready.len() - 1)
    });
    let limit = terminal.as_ref().is_some_and(Terminal::holds_input).then_some(&LOOK);
    rustix::io::retry_on_intr(|| poll(&mut ready, limit)).map_err(failed("wait"))?;
    let happened: Vec<bool> = ready.iter().map(|fd| !fd.revents().is_empty()).collect();
    drop(ready);
    let happened = |place: usize| happened.get(place) == Some(&true);
    if let Some(terminal) = terminal {
        terminal.step(places.map(|place| place.is_some_and(happened)));
    }
    Ok(happened(1))
}

/// A child of ours, as [`Foreground::wait`] takes it.
pub(super) fn child(pid: i32) -> Result<OwnedFd> {
    let number = Pid::from_raw(pid).ok_or(Errno::SRCH);
    number.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty())).map_err(failed("wait"))
}

/// The exit code of a child that has ended. Who traces it lets go of it only now, maybe.
fn code(process: &OwnedFd) -> Result<u8> {
    let wait = || rustix::process::waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED);
    match rustix::io::retry_on_intr(wait) {
        Ok(status) => {
            let signal = |signal| 128 + signal;
            let code = status.and_then(|end| end.exit_status().or(end.terminating_signal().map(signal)));
            Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED))
        }
        // Somebody else has reaped it: it is over all the same.
        Err(Errno::CHILD) => Ok(FAILED),
        Err(errno) => Err(failed("wait")(errno)),
    }
}

/// The code of an end that nobody can tell anything of.
const FAILED: u8 = 1;
