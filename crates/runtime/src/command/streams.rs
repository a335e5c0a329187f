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
use rustix::termios::{OptionalActions, Termios};

use crate::error::{Error, Result};
use crate::request::Stdio;

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

const SIGWINCH: i32 = 28;
/// What is passed on to the container: everything a user or a supervisor sends to stop, wake or configure a program.
const PASSED: [i32; 9] = [1, 2, 3, 10, 12, 15, 18, 23, SIGWINCH];

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
        let signals = SignalFd::block(&PASSED)
            .map_err(|error| Error::Terminal { what: "signals".into(), source: error.into() })?;
        Ok(Self { signals: Some(signals) })
    }

    /// Serves a child until it has ended; its exit code, 128 + n for a signal.
    pub(super) fn wait(self, process: &OwnedFd, console: Option<OwnedFd>) -> Result<u8> {
        let Some(signals) = &self.signals else { return Ok(0) };
        let raw = console.as_ref().map(|_| RawTerminal::enter());
        if let Some(master) = &console {
            copy_size(master);
        }
        let mut input_open = true;
        let mut output_open = console.is_some();
        loop {
            let stdin = rustix::stdio::stdin();
            let mut ready = vec![PollFd::new(signals, PollFlags::IN), PollFd::new(process, PollFlags::IN)];
            if let Some(master) = console.as_ref().filter(|_| output_open) {
                ready.push(PollFd::new(master, PollFlags::IN));
                if input_open {
                    ready.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
                }
            }
            rustix::io::retry_on_intr(|| poll(&mut ready, None)).map_err(failed("wait"))?;
            let events: Vec<bool> = ready.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(ready);
            if let Some(master) = console.as_ref().filter(|_| output_open) {
                if events.get(2) == Some(&true) {
                    output_open = copy(master.as_fd(), rustix::stdio::stdout());
                }
                if events.get(3) == Some(&true) {
                    input_open = copy(stdin, master.as_fd());
                }
            }
            while let Ok(Some(signal)) = signals.next() {
                match signal {
                    SIGWINCH if console.is_some() => console.iter().for_each(copy_size),
                    // It may have ended just now.
                    other => drop(barge_sys::signal::send(process, other)),
                }
            }
            if events.get(1) == Some(&true) {
                let code = code(process)?;
                if let Some(master) = console.as_ref().filter(|_| output_open) {
                    drain(master);
                }
                drop(raw);
                return Ok(code);
            }
        }
    }
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

/// Copies what is there; false at the end.
fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> bool {
    let mut buffer = [0u8; 16 * 1024];
    match rustix::io::retry_on_intr(|| rustix::io::read(from, &mut buffer)) {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                match rustix::io::retry_on_intr(|| rustix::io::write(to, rest)) {
                    Ok(written) => rest = &rest[written..],
                    Err(_) => return false,
                }
            }
            true
        }
    }
}

/// What the terminal still holds when its last user is gone.
fn drain(master: &OwnedFd) {
    loop {
        let mut ready = [PollFd::new(master, PollFlags::IN)];
        let now = rustix::time::Timespec::default();
        let pending = poll(&mut ready, Some(&now)).is_ok_and(|count| count > 0);
        if !pending || !copy(master.as_fd(), rustix::stdio::stdout()) {
            return;
        }
    }
}

fn copy_size(master: &OwnedFd) {
    // A standard input that is no terminal has no size to copy.
    if let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stdin()) {
        let _ = rustix::termios::tcsetwinsize(master, size);
    }
}

/// Our own terminal, raw until this is dropped.
struct RawTerminal(Option<Termios>);

impl RawTerminal {
    fn enter() -> Self {
        let stdin = rustix::stdio::stdin();
        let Ok(before) = rustix::termios::tcgetattr(stdin) else { return Self(None) };
        let mut raw = before.clone();
        raw.make_raw();
        match rustix::termios::tcsetattr(stdin, OptionalActions::Drain, &raw) {
            Ok(()) => Self(Some(before)),
            Err(_) => Self(None),
        }
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // Nothing more can be done for a terminal that is gone.
            let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, before);
        }
    }
}
