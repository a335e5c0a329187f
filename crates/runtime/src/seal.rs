//! Running from a program file that nobody can write to, not even root in a container.
//!
//! A process on its way into a container is still the runtime's program: whoever gets hold of `/proc/<pid>/exe` in
//! that moment could write to the host's file once it is no longer running (CVE-2019-5736). A read-only mount of the
//! file that is attached nowhere closes this: the process is executed through it, so every way to the file leads to
//! that mount, and nobody has a path by which to change the mount. Who may not mount gives a copy in memory away that
//! is sealed against writing: that user's file may well belong to the container's root.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use barge_sys::mount::{Change, Reach, attr, set_attributes};
use rustix::fs::{CWD, MemfdFlags, SealFlags, StatVfsMountFlags};
use rustix::io::Errno;
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

    /// Seals the program of this process, by a copy of it in memory where it can't be mounted.
    pub fn of_self() -> io::Result<Self> {
        let own = Path::new(OWN);
        Self::open(own).or_else(|_| Self::copied(own))
    }

    fn copied(program: &Path) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = match rustix::fs::memfd_create(COPY, flags | MemfdFlags::EXEC) {
            // Before Linux 6.3 all of them could be executed.
            Err(Errno::INVAL) => rustix::fs::memfd_create(COPY, flags),
            created => created,
        };
        let mut memory = File::from(memory?);
        io::copy(&mut File::open(program)?, &mut memory)?;
        rustix::fs::fcntl_add_seals(&memory, SEALS)?;
        Ok(Self(memory.into()))
    }

    /// What to execute.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

const OWN: &str = "/proc/self/exe";
/// What the copy in memory is called.
const COPY: &str = "barge-runc";
const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);

/// Whether this process already runs from a sealed file: one that is the root of a read-only mount, or a copy in memory.
/// (A file on a read-only filesystem is not enough: it may be made writable later, by whoever has kept it open.)
pub fn is_sealed() -> bool {
    let Ok(path) = rustix::fs::readlink(OWN, Vec::new()) else { return false };
    match path.as_bytes() {
        b"/" => rustix::fs::statvfs(OWN).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY)),
        path if path.starts_with(b"/memfd:") => {
            let seals = File::open(OWN).map(rustix::fs::fcntl_get_seals);
            matches!(seals, Ok(Ok(seals)) if seals.contains(SEALS))
        }
        _ => false,
    }
}
