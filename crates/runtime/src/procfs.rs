//! Writing to the kernel's own procfs, and to nothing that stands in for it.
//!
//! Labels, kernel parameters and the like are set by writing to files below `/proc`. Where a container had a hand in what
//! is mounted there, such a write could go to a file of its choice, or to none (CVE-2019-16884, CVE-2025-52881). So
//! `/proc` must be the root of a procfs, and the way down from there crosses no mount and no magic link; where the host
//! itself has mounts below, a procfs that nobody else can reach is made for the write.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::init::mounts::filesystem;

/// `PROC_SUPER_MAGIC` of statfs(2).
const MAGIC: u64 = 0x9fa0;
/// The number of a procfs's root directory.
const ROOT: u64 = 1;

/// Whether a descriptor is of a procfs.
pub(crate) fn is_proc(fd: impl AsFd) -> bool {
    rustix::fs::fstatfs(fd).is_ok_and(|fs| fs.f_type as u64 == MAGIC)
}

/// Whether the file `path` of `/proc` is there.
pub(crate) fn has(path: &Path) -> bool {
    let look = OFlags::PATH | OFlags::CLOEXEC;
    host().and_then(|proc| open_in(&proc, path, look)).is_ok()
}

/// Writes to the file `path` of `/proc`, which is relative to it.
pub(crate) fn write(path: &Path, value: &[u8]) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = match host().and_then(|proc| open_in(&proc, path, flags)) {
        Err(Errno::XDEV) => open_in(&filesystem("proc", "proc", &[], 0)?, path, flags)?,
        file => file?,
    };
    // These files take a value in one write, or not at all.
    match rustix::io::write(&file, value)? {
        length if length == value.len() => Ok(()),
        _ => Err(Errno::IO),
    }
}

fn host() -> rustix::io::Result<OwnedFd> {
    verified(Path::new("/proc"))
}

fn verified(place: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let proc = rustix::fs::open(place, flags, Mode::empty())?;
    match is_proc(&proc) && rustix::fs::fstat(&proc)?.st_ino == ROOT {
        true => Ok(proc),
        false => Err(Errno::XDEV),
    }
}

fn open_in(proc: &OwnedFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(proc, path, flags, Mode::empty(), inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_root_of_a_procfs_will_do() {
        assert!(verified(Path::new("/proc")).is_ok());
        for place in ["/tmp", "/sys", "/proc/self/root", "/proc/sys", "/proc/self"] {
            assert!(verified(Path::new(place)).is_err(), "{place}");
        }
    }

    #[test]
    fn no_way_leads_out_of_it() {
        let proc = host().unwrap();
        let open = |path: &str| open_in(&proc, Path::new(path), OFlags::PATH | OFlags::CLOEXEC);
        assert!(open("self/attr/exec").is_ok() || !Path::new("/proc/self/attr/exec").exists());
        assert!(open("sys/kernel/hostname").is_ok());
        for path in ["self/root/etc", "self/cwd", "self/exe", "../etc", "/proc/uptime", "self/fd/0"] {
            assert!(open(path).is_err(), "{path}");
        }
        assert!(has(Path::new("uptime")) && !has(Path::new("no-such-file")));
    }

    #[test]
    fn writes_reach_the_file_and_errors_come_back() {
        let own = std::fs::read("/proc/self/oom_score_adj").unwrap();
        write(Path::new("self/oom_score_adj"), own.trim_ascii_end()).unwrap();
        assert_eq!(write(Path::new("self/oom_score_adj"), b"words"), Err(Errno::INVAL));
        assert_eq!(write(Path::new("no-such-file"), b"x"), Err(Errno::NOENT));
    }
}
