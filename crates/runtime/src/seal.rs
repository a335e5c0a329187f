//! Running from a program file that nobody can write to, not even root in a container.
//!
//! A process on its way into a container is still the runtime's program: whoever gets hold of `/proc/<pid>/exe` in
//! that moment could write to the host's file once it is no longer running (CVE-2019-5736). A read-only mount of the
//! file that is attached nowhere closes this: the process is executed through it, so every way to the file leads to
//! that mount, and nobody has a path by which to change the mount.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use barge_sys::mount::{Change, Reach, attr, set_attributes};
use rustix::fs::{CWD, StatVfsMountFlags};
use rustix::mount::OpenTreeFlags;

/// A program file to start container supervisors from.
///
/// The path is valid in this process and in its children up to their `execve`, as long as the value lives.
#[derive(Debug)]
pub struct SealedProgram(OwnedFd);

impl SealedProgram {
    /// Seals `program`. Needs `CAP_SYS_ADMIN` and Linux 5.12.
    pub fn open(program: &Path) -> io::Result<Self> {
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let mount = rustix::mount::open_tree(CWD, program, clone)?;
        let change = Change { set: attr::RDONLY | attr::NOSUID | attr::NODEV, ..Change::default() };
        set_attributes(mount.as_fd(), Reach::Mount, change)?;
        Ok(Self(mount))
    }

    /// Seals the program of this process.
    pub fn of_self() -> io::Result<Self> {
        Self::open(Path::new(OWN))
    }

    /// What to execute.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

const OWN: &str = "/proc/self/exe";

/// Whether this process already runs from a sealed file: one that is the root of a read-only mount. (A file on a read-only
/// filesystem is not enough: it may be made writable later, by whoever has kept it open.)
pub fn is_sealed() -> bool {
    rustix::fs::readlink(OWN, Vec::new()).is_ok_and(|path| path.as_bytes() == b"/")
        && rustix::fs::statvfs(OWN).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY))
}
