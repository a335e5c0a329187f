//! The way into a root without pivot_root(2): what `--no-pivot` asks for, because the kernel does not pivot away from
//! an initial ramdisk, which has no parent mount to be put upon.
//!
//! The root lies over `/` already and becomes the process's own. Under it the host's mounts are still there, out of
//! reach by name, but the kernel sees them: it lets a user namespace mount a whole procfs or sysfs where it finds one.
//! Those are taken away; apart from that a program with `CAP_SYS_CHROOT` finds its way back, as under runc.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use super::target::RootDirectory;
use crate::error::{Error, Result};
use crate::mountinfo::{self, unescape};

/// Makes `root`, which lies over `/`, the root directory of this process.
pub(super) fn enter(root: &RootDirectory) -> Result<()> {
    let failed = |errno: Errno| Error::ChangeRoot { source: errno.into() };
    let mounts = mountinfo::read(Path::new("/proc/self/mountinfo"))
        .map_err(|error| Error::ChangeRoot { source: error.into() })?;
    whole_kernel_filesystems(&mounts).iter().try_for_each(|place| take_away(place)).map_err(failed)?;
    rustix::process::fchdir(root.fd()).map_err(failed)?;
    rustix::process::chroot(".").map_err(failed)?;
    rustix::process::chdir("/").map_err(failed)
}

fn take_away(place: &Path) -> rustix::io::Result<()> {
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    match rustix::mount::mount_change(place, slave) {
        // It went with one above it, or is one of the container's own.
        Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
        result => result?,
    }
    match rustix::mount::unmount(place, UnmountFlags::DETACH) {
        // Mounts of an outer user namespace can only be covered.
        Err(Errno::INVAL | Errno::PERM) => {
            rustix::mount::mount("tmpfs", place, "tmpfs", MountFlags::empty(), None)
        }
        result => result,
    }
}

/// Where procfs and sysfs are mounted from their roots on, by proc_pid_mountinfo(5).
fn whole_kernel_filesystems(mountinfo: &str) -> Vec<PathBuf> {
    let place = |line: &str| {
        let (own, rest) = line.split_once(" - ")?;
        let mut fields = own.split(' ').skip(3);
        let (root, place) = (fields.next()?, fields.next()?);
        let kind = rest.split(' ').next()?;
        (root == "/" && matches!(kind, "proc" | "sysfs")).then(|| unescape(place).into())
    };
    mountinfo.lines().filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_ones_are_taken_away() {
        let mountinfo = "22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw\n\
                         23 27 0:22 / /my\\040sys rw - sysfs sysfs rw\n\
                         24 27 0:21 /sys /x rw - proc proc rw\n\
                         25 27 8:1 / / rw - ext4 /dev/vda rw\n";
        assert_eq!(whole_kernel_filesystems(mountinfo), [Path::new("/proc"), Path::new("/my sys")]);
    }
}
