//! Signals as a file descriptor: the shim's event loop waits for children and sockets in one place.
//!
//! The signals are blocked in the calling thread and queue up in the descriptor. A blocked mask is
//! inherited over clone and exec: whoever starts a program must empty it first (`process::reset_signals`).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A `signalfd(2)`: readable while one of its signals is pending. Non-blocking, close-on-exec.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks `signals` in the calling thread and opens a descriptor that collects them.
    pub fn block(signals: &[i32]) -> io::Result<Self> {
        let set = set_of(signals)?;
        set_mask(libc::SIG_BLOCK, &set)?;
        open(&set).map(Self)
    }

    /// Takes one pending signal's number off the queue; `None` when there is none.
    pub fn next(&self) -> io::Result<Option<i32>> {
        let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::read(&self.0, &mut record) {
            // The number is the record's first field (signalfd(2)): ssi_signo, a u32.
            Ok(n) if n == record.len() => {
                let number = u32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
                Ok(i32::try_from(number).ok())
            }
            Ok(_) => Ok(None),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Empties the calling thread's mask of blocked signals.
pub fn unblock_all() -> io::Result<()> {
    set_mask(libc::SIG_SETMASK, &set_of(&[])?)
}

/// Makes a signal end this process with the exit code that a shell gives for it, 128 and the number, also where it is
/// process 1 of its pid namespace, which signals without a handler don't reach. A program that it executes has the default
/// action again (execve(2)).
pub fn exit_on(signal: i32) -> io::Result<()> {
    let handler: extern "C" fn(i32) = exit_for;
    // SAFETY: the handler calls nothing but _exit, which is safe at any point of a program (signal-safety(7)), and its
    // type is that of a handler without SA_SIGINFO, as `signal` installs it.
    let before = unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

extern "C" fn exit_for(signal: i32) {
    // SAFETY: ends the process at once; nothing of it is used afterwards.
    unsafe { libc::_exit(128 + signal) }
}

/// Sends a signal to the process of a pidfd. Any number: also real-time signals, which have no names.
pub fn send(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    let pidfd = pidfd.as_fd().as_raw_fd();
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is borrowed for the call, and a null siginfo is what pidfd_send_signal(2) allows.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, no_info, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn set_of(signals: &[i32]) -> io::Result<libc::sigset_t> {
    let mut set = empty_set();
    for &signal in signals {
        add_to(&mut set, signal)?;
    }
    Ok(set)
}

fn empty_set() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: `set` is a writable sigset_t of this frame; sigemptyset writes nothing beyond it.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the whole object was zeroed above, and all zeroes is a valid (empty) sigset_t on Linux.
    unsafe { set.assume_init() }
}

fn add_to(set: &mut libc::sigset_t, signal: i32) -> io::Result<()> {
    // SAFETY: `set` is an exclusive borrow of an initialised set; a bad number is answered with EINVAL.
    check(unsafe { libc::sigaddset(set, signal) })
}

fn set_mask(how: i32, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `set` is borrowed for the call and the old mask isn't asked for (a null pointer is allowed).
    match unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn open(set: &libc::sigset_t) -> io::Result<OwnedFd> {
    // SAFETY: -1 asks for a new descriptor; `set` is borrowed for the call and only read.
    let fd = unsafe { libc::signalfd(-1, set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
    check(fd)?;
    // SAFETY: the kernel has just made `fd` for this call (checked to be >= 0) and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_signal_queues_up_in_the_descriptor() {
        let signals = SignalFd::block(&[libc::SIGUSR2]).unwrap();
        assert_eq!(signals.next().unwrap(), None);
        // SAFETY: raise sends a signal that this thread has just blocked; no handler runs.
        unsafe { libc::raise(libc::SIGUSR2) };
        assert_eq!(signals.next().unwrap(), Some(libc::SIGUSR2));
        assert_eq!(signals.next().unwrap(), None);
    }
}
