//! Making processes: `clone3` without a stack of its own (a fork with namespaces), `execve`, and the few attributes
//! of a process that rustix does not know.
//!
//! [`clone3`] copies the calling process as `fork` does. It refuses to run in a process with several threads, so the
//! child may use everything the parent could, allocation included.

use std::ffi::{CStr, c_char};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::{AtFlags, CWD, StatxFlags};

// Two flags of clone3 above 32 bits, which libc still has as overflowing ints.
const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// What the child of [`clone3`] gets of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloneArgs<'a> {
    /// `CLONE_NEW*` of the namespaces to make.
    pub namespaces: u64,
    /// The cgroup v2 directory in which the child begins.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The child is not the caller's but the caller's parent's, who reaps it and hears of its end as of the caller's.
    pub sibling: bool,
}

/// The two returns of [`clone3`].
#[derive(Debug)]
pub enum Cloned {
    /// This is the child.
    Child,
    /// This is the parent.
    Parent {
        /// The child's pid in the caller's pid namespace.
        pid: i32,
        /// A descriptor for the child.
        pidfd: OwnedFd,
    },
}

/// Copies the calling process into new namespaces. Handlers of signals are reset in the child.
///
/// Fails with `EBUSY` when the process has more than one thread: the copy of a lock that another thread held would
/// never be released.
pub fn clone3(args: CloneArgs<'_>) -> io::Result<Cloned> {
    if thread_count()? != 1 {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    let mut pidfd: RawFd = -1;
    let sibling = if args.sibling { libc::CLONE_PARENT as u64 } else { 0 };
    let flags = libc::CLONE_PIDFD as u64 | CLONE_CLEAR_SIGHAND | sibling | args.namespaces;
    let mut raw = libc::clone_args {
        flags,
        pidfd: (&raw mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        // A sibling has the caller's own, and may not ask for one.
        exit_signal: if args.sibling { 0 } else { libc::SIGCHLD as u64 },
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    if let Some(cgroup) = args.cgroup {
        raw.flags |= CLONE_INTO_CGROUP;
        raw.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM and with no stack given the child runs on its own copy of this stack, like fork(2).
    // The process was just seen to have one thread, and only that thread could start another, so no lock of the C
    // library or of Rust is held by somebody who does not exist in the child. `raw` and `pidfd` outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw mut raw, size_of::<libc::clone_args>()) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Cloned::Child),
        pid => {
            // SAFETY: with CLONE_PIDFD the kernel has stored a new descriptor there, which nobody else knows.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Cloned::Parent { pid: pid as i32, pidfd })
        }
    }
}

/// Copies the calling process, as fork(2); `None` is the child. For programs inside a container, whose seccomp
/// filter may know no `clone3`.
///
/// Fails with `EBUSY` when the process has more than one thread, for the reason given at [`clone3`].
pub fn fork() -> io::Result<Option<i32>> {
    if thread_count()? != 1 {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    // SAFETY: the process was just seen to have one thread, and only that thread could start another, so no lock is
    // held by somebody who does not exist in the child.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(pid)),
    }
}

/// The number of threads of this process, from the link count of its task directory (two and one for each thread).
///
/// In a container without `/proc` the kernel is asked in another way, which only tells one thread from several.
fn thread_count() -> io::Result<u32> {
    match rustix::fs::statx(CWD, "/proc/self/task", AtFlags::empty(), StatxFlags::NLINK) {
        Ok(stat) => Ok(stat.stx_nlink.saturating_sub(2)),
        Err(rustix::io::Errno::NOENT) => threads_without_proc(),
        Err(errno) => Err(errno.into()),
    }
}

fn threads_without_proc() -> io::Result<u32> {
    // SAFETY: with one thread this changes nothing, with several the kernel refuses it (unshare(2), CLONE_THREAD).
    match unsafe { libc::unshare(libc::CLONE_THREAD) } {
        0 => Ok(1),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EINVAL) => Ok(2),
            error => Err(error),
        },
    }
}

/// Replaces the program of this process. Returns only when that failed.
pub fn execve(path: &CStr, arguments: &[&CStr], environment: &[&CStr]) -> io::Error {
    let argv = null_terminated(arguments);
    let envp = null_terminated(environment);
    // SAFETY: both arrays end with a null pointer and their strings are borrowed for the whole call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

fn null_terminated(strings: &[&CStr]) -> Vec<*const c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Gives every signal its default action and blocks none, as a new program expects it.
pub fn reset_signals() -> io::Result<()> {
    for signal in 1..=LAST_SIGNAL {
        set_action(signal, Action::Default);
    }
    crate::signal::unblock_all()
}

const LAST_SIGNAL: i32 = 64;

/// What a signal does to a process that has no code of its own for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// What the kernel does by default.
    Default = 0,
    /// Nothing. Ignored `SIGCHLD` also has the kernel reap children, whose ends nobody learns.
    Ignore = 1,
}

/// Gives one signal an action; the kernel keeps `SIGKILL` and `SIGSTOP` as they are. The C library's `signal` would
/// leave out the two that it uses itself.
pub fn set_action(signal: i32, action: Action) {
    const SET_SIZE: usize = 8;
    // SIG_DFL or SIG_IGN, no flags, no restorer, empty mask: all but the first is zero, on every architecture.
    let action = [action as u64, 0, 0, 0];
    // SAFETY: neither action is a handler of ours, so there is no code that a signal could run; the kernel reads its
    // `struct sigaction`, which is at most as long as the array.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            action.as_ptr(),
            std::ptr::null_mut::<libc::c_void>(),
            SET_SIZE,
        )
    };
}

/// Sends any signal, real-time ones included, to a process (or, as `kill(2)` has it, a group when `pid` is negative).
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::kill(pid, signal) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// As [`kill`], to the process of a pidfd, which stays the one it was when its number goes to another. Signal 0 only
/// asks whether it is there.
pub fn kill_held(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let no_details = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is borrowed for the call, and without details the kernel reads no memory of ours.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_details, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Marks every descriptor from `first` on as closed at the next `execve`.
pub fn close_on_exec_from(first: RawFd) -> io::Result<()> {
    // SAFETY: no descriptor is closed now, so none that somebody owns becomes invalid.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, first as u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes `to` a copy of `fd` that stays open over `execve`, replacing whatever had that number.
///
/// For the standard streams of a child before its `execve`: the numbers 0 to 2 are no Rust owner's.
pub fn duplicate_onto(fd: BorrowedFd<'_>, to: StandardStream) -> io::Result<()> {
    let to = to as RawFd;
    if fd.as_raw_fd() == to {
        return rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty()).map_err(Into::into);
    }
    // SAFETY: the target is one of 0, 1, 2, which std uses by number and nobody owns as an OwnedFd.
    let result = unsafe { libc::dup2(fd.as_raw_fd(), to) };
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The numbers of the standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum StandardStream {
    /// Descriptor 0.
    Input = 0,
    /// Descriptor 1.
    Output = 1,
    /// Descriptor 2.
    Error = 2,
}

/// Sets the execution domain, `personality(2)`.
pub fn set_personality(persona: u64) -> io::Result<()> {
    // SAFETY: takes and returns plain numbers.
    let result = unsafe { libc::personality(persona as libc::c_ulong) };
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets the calling process's I/O class and priority, `ioprio_set(2)`.
pub fn set_io_priority(class: u32, priority: u32) -> io::Result<()> {
    const WHO_PROCESS: i32 = 1;
    let value = (class << 13) | priority;
    // SAFETY: takes plain numbers; 0 means the caller.
    let result = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, value) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives this process a session keyring of its own, so that it sees no key of whoever started it.
pub fn join_new_session_keyring() -> io::Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring; nothing else is read.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<c_char>()) };
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The serial number of this process's session keyring.
pub fn session_keyring() -> io::Result<i32> {
    const GET_KEYRING_ID: libc::c_long = 0;
    const SESSION: libc::c_long = -3;
    // SAFETY: takes and returns plain numbers.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, SESSION, 0) };
    if result >= 0 { Ok(result as i32) } else { Err(io::Error::last_os_error()) }
}

/// Ends the process at once: no destructors, no `atexit`. For the child of [`clone3`], which shares its parent's
/// buffered state.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process, nothing runs after it.
    unsafe { libc::_exit(code) }
}

/// Sets the NIS domain name of the current UTS namespace.
pub fn set_domain_name(name: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length are of one live slice.
    let result = unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clone3_is_refused_when_there_are_threads() {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || wait.recv());
        let refused = clone3(CloneArgs::default());
        drop(done);
        assert!(matches!(refused, Err(e) if e.raw_os_error() == Some(libc::EBUSY)));
        other.join().unwrap().unwrap_err();
    }

    #[test]
    fn execve_reports_what_is_missing() {
        assert_eq!(execve(c"/nonexistent", &[c"x"], &[]).raw_os_error(), Some(libc::ENOENT));
    }
}
