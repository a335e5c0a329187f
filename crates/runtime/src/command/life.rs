//! Whether a container's first process lives, and what tells it from another that has its number later.
//!
//! ```text
//! /proc shows it      it is what began when it did, unless it is dead
//! /proc hides it      the kernel is asked: its pidfd, which has a number of its own, and no end yet
//! ```
//!
//! With `hidepid` a user's `/proc` hides who is not his, and who can't be dumped, as init can't before it has become its
//! program. Not to be seen there is not to be dead.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use crate::error::{Cause, Error, Result};

/// What tells a process from a later one with the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// When it began, in ticks since boot.
    pub(super) start_time: Option<u64>,
    /// The inode of its pidfd, where its start can't be seen. Before Linux 6.9 all have the same: it tells nothing then.
    pub(super) inode: Option<u64>,
}

impl Mark {
    /// The mark of a process that is there.
    pub(super) fn of(pid: i32) -> Result<Self> {
        if let Some(stat) = look(pid)? {
            return Ok(Self { start_time: Some(stat.start_time), inode: None });
        }
        let held = open(pid)?.ok_or(Error::InitDied)?;
        Ok(Self { start_time: None, inode: Some(inode(pid, &held)?) })
    }

    /// Whether the process with that pid is the one with this mark, and not dead.
    pub(super) fn is_alive(self, pid: i32) -> Result<bool> {
        match (look(pid)?, self.start_time) {
            (Some(stat), _) if stat.dead => Ok(false),
            (Some(stat), Some(start)) => Ok(stat.start_time == start),
            _ => self.is_alive_unseen(pid),
        }
    }

    fn is_alive_unseen(self, pid: i32) -> Result<bool> {
        let Some(held) = open(pid)? else { return Ok(false) };
        match barge_sys::process::kill_held(held.as_fd(), 0).map_err(Cause::from) {
            Ok(()) => {}
            Err(cause) if cause.errno() == Errno::SRCH.raw_os_error() => return Ok(false),
            // Who has made a container may signal its processes: they are his own, or in a user namespace of his. The
            // number is a stranger's by now.
            Err(cause)
                if cause.errno() == Errno::PERM.raw_os_error() && !rustix::process::geteuid().is_root() =>
            {
                return Ok(false);
            }
            Err(source) => return Err(Error::Hold { pid, source }),
        }
        Ok(!has_ended(pid, &held)? && self.inode.is_none_or(|own| inode(pid, &held) == Ok(own)))
    }
}

/// A pidfd of a process, if there is one of that number.
pub(super) fn open(pid: i32) -> Result<Option<OwnedFd>> {
    let opened = Pid::from_raw(pid).ok_or(Errno::SRCH);
    match opened.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty())) {
        Ok(held) => Ok(Some(held)),
        // A number that only a session has still, whose leader is gone, is invalid to older kernels.
        Err(Errno::SRCH | Errno::INVAL) => Ok(None),
        Err(errno) => Err(Error::Hold { pid, source: errno.into() }),
    }
}

fn inode(pid: i32, held: &OwnedFd) -> Result<u64> {
    match rustix::fs::fstat(held) {
        Ok(stat) => Ok(stat.st_ino),
        Err(errno) => Err(Error::Hold { pid, source: errno.into() }),
    }
}

/// Whether it only waits to be reaped.
fn has_ended(pid: i32, held: &OwnedFd) -> Result<bool> {
    let mut ready = [PollFd::new(held, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    match rustix::io::retry_on_intr(|| poll(&mut ready, Some(&at_once))) {
        Ok(count) => Ok(count > 0),
        Err(errno) => Err(Error::Hold { pid, source: errno.into() }),
    }
}

struct Stat {
    start_time: u64,
    dead: bool,
}

/// What proc_pid_stat(5) says; `None` when there is no such process, or none to be seen.
fn look(pid: i32) -> Result<Option<Stat>> {
    let path = PathBuf::from(format!("/proc/{pid}/stat"));
    match fs::read(&path) {
        Ok(text) => Ok(parse(&text)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::SRCH | Errno::PERM | Errno::ACCESS) => Ok(None),
            _ => Err(Error::File { operation: "read".into(), path, source: error.into() }),
        },
    }
}

/// The name, which may be any bytes (the kernel cuts a long one anywhere), ends with the last parenthesis.
fn parse(text: &[u8]) -> Option<Stat> {
    let rest = text.rsplit(|byte| *byte == b')').next()?;
    let mut fields = str::from_utf8(rest).ok()?.split_ascii_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X" | "x");
    Some(Stat { start_time: fields.nth(18)?.parse().ok()?, dead })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_by_its_start_or_by_its_inode() {
        let own = std::process::id() as i32;
        let mark = Mark::of(own).unwrap();
        let start = mark.start_time.unwrap();
        let inode = inode(own, &open(own).unwrap().unwrap()).unwrap();
        for (start_time, inode, alive) in [
            (Some(start), None, true),
            (Some(start + 1), None, false),
            (None, Some(inode), true),
            (None, Some(inode + 1), false),
            (None, None, true),
        ] {
            let mark = Mark { start_time, inode };
            assert_eq!(mark.is_alive(own), Ok(alive), "{mark:?}");
            assert_eq!(mark.is_alive(i32::MAX), Ok(false), "{mark:?}");
        }
        assert_eq!(Mark::of(i32::MAX), Err(Error::InitDied));
    }

    #[test]
    fn who_waits_to_be_reaped_is_dead_unseen_too() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = child.id() as i32;
        let hidden = Mark { start_time: None, inode: None };
        assert_eq!(hidden.is_alive_unseen(pid), Ok(true));
        child.kill().unwrap();
        let held = open(pid).unwrap().unwrap();
        poll(&mut [PollFd::new(&held, PollFlags::IN)], None).unwrap();
        assert_eq!(hidden.is_alive_unseen(pid), Ok(false));
        child.wait().unwrap();
        assert_eq!(hidden.is_alive_unseen(pid), Ok(false));
    }

    #[test]
    fn a_process_may_have_any_name() {
        let rest = "1 7 7 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0\n";
        for name in [&b"sh"[..], b"\xc3\xa4\xc3\xa4\xc3", b") R (", b"a b) Z 9 9", b"\xff\n"] {
            let text = [b"12 (", name, b") S ", rest.as_bytes()].concat();
            let stat = parse(&text).unwrap();
            assert!(!stat.dead && stat.start_time == 4711, "{name:?}");
        }
        assert!(parse(&[b"12 (x) Z ", rest.as_bytes()].concat()).unwrap().dead);
        assert!(parse(b"12 (x").is_none());
    }
}
