//! Namespaces: leaving and joining them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `CLONE_NEW*` flags, one for each kind of namespace.
pub mod kind {
    pub const MOUNT: u64 = libc::CLONE_NEWNS as u64;
    pub const CGROUP: u64 = libc::CLONE_NEWCGROUP as u64;
    pub const UTS: u64 = libc::CLONE_NEWUTS as u64;
    pub const IPC: u64 = libc::CLONE_NEWIPC as u64;
    pub const USER: u64 = libc::CLONE_NEWUSER as u64;
    pub const PID: u64 = libc::CLONE_NEWPID as u64;
    pub const NET: u64 = libc::CLONE_NEWNET as u64;
    pub const TIME: u64 = 0x80;
}

/// Moves the calling thread into new namespaces of the given kinds (for pid and time: its future children).
pub fn unshare(kinds: u64) -> io::Result<()> {
    // SAFETY: the flags of namespaces don't unshare the descriptor table, on which the safety of every OwnedFd in
    // the process rests.
    let result = unsafe { libc::unshare((kinds & ALL) as libc::c_int) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const ALL: u64 =
    kind::MOUNT | kind::CGROUP | kind::UTS | kind::IPC | kind::USER | kind::PID | kind::NET | kind::TIME;

/// Joins namespaces: of the given kinds of the process when `fd` is a pidfd, or the one that `fd` is, which must be
/// of the one kind given (0: of any kind).
pub fn join(fd: BorrowedFd<'_>, kinds: u64) -> io::Result<()> {
    // SAFETY: takes numbers only; changes what the calling thread sees of the system, no memory.
    let result = unsafe { libc::setns(fd.as_raw_fd(), (kinds & ALL) as libc::c_int) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
