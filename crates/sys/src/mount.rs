//! Mount attributes by descriptor (`mount_setattr`), and what the mount API of this kernel can do.
//!
//! The rest of the mount API (`fsopen`, `fsmount`, `open_tree`, `move_mount`, `mount`) is in `rustix::mount`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Which mounts a change of attributes reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only the mount itself.
    Mount,
    /// The mount and every mount below it.
    Tree,
}

/// A change of mount attributes: bits of `MOUNT_ATTR_*` and a propagation of `MS_*`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Attributes to switch on.
    pub set: u64,
    /// Attributes to switch off first.
    pub clear: u64,
    /// The propagation type to change to, 0 for none.
    pub propagation: u64,
}

/// `MOUNT_ATTR_*` of `mount_setattr(2)`.
pub mod attr {
    pub const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
    pub const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
    pub const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
    pub const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
    /// The mask of the mutually exclusive access time settings; clear it whole to set another.
    pub const ATIME: u64 = libc::MOUNT_ATTR__ATIME;
    pub const RELATIME: u64 = libc::MOUNT_ATTR_RELATIME;
    pub const NOATIME: u64 = libc::MOUNT_ATTR_NOATIME;
    pub const STRICTATIME: u64 = libc::MOUNT_ATTR_STRICTATIME;
    pub const NODIRATIME: u64 = libc::MOUNT_ATTR_NODIRATIME;
    pub const NOSYMFOLLOW: u64 = libc::MOUNT_ATTR_NOSYMFOLLOW;
}

/// `MS_*` propagation types and flags of `mount(2)`.
pub mod flag {
    pub const PRIVATE: u64 = libc::MS_PRIVATE;
    pub const SHARED: u64 = libc::MS_SHARED;
    pub const SLAVE: u64 = libc::MS_SLAVE;
    pub const UNBINDABLE: u64 = libc::MS_UNBINDABLE;
}

/// Changes attributes of the mount that `mount` (any descriptor on its root, also of a detached one) names.
///
/// Needs Linux 5.12; older kernels say `ENOSYS`.
pub fn set_attributes(mount: BorrowedFd<'_>, reach: Reach, change: Change) -> io::Result<()> {
    change_attributes(
        mount,
        reach,
        libc::mount_attr {
            attr_set: change.set,
            attr_clr: change.clear,
            propagation: change.propagation,
            userns_fd: 0,
        },
    )
}

/// Shows the files of a detached mount with the ids that the user namespace `mapping` gives them.
///
/// `EINVAL` when the filesystem can't, when the mount is not detached any more, or when it is mapped already.
pub fn map_ids(mount: BorrowedFd<'_>, reach: Reach, mapping: BorrowedFd<'_>) -> io::Result<()> {
    change_attributes(
        mount,
        reach,
        libc::mount_attr {
            attr_set: libc::MOUNT_ATTR_IDMAP,
            attr_clr: 0,
            propagation: 0,
            userns_fd: mapping.as_raw_fd() as u64,
        },
    )
}

fn change_attributes(mount: BorrowedFd<'_>, reach: Reach, attributes: libc::mount_attr) -> io::Result<()> {
    let recursive = if reach == Reach::Tree { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a literal, and `attributes` is live and as long as the size says.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
