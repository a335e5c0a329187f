//! Paths that a container may not see or not change.
//!
//! A masked file shows the null device, a masked directory an empty read-only filesystem (one for all of them). What
//! is not there needs no mask. The places are found as the container would find them, links included.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use barge_sys::mount::attr;
use rustix::fs::{FileType, Mode, OFlags, makedev};
use rustix::io::Errno;

use super::mounts::{attach, clone_fd, filesystem, make_read_only};
use super::target::{RootDirectory, file_type};
use crate::error::{Error, Result};

/// Hides `paths`.
pub(super) fn mask(root: &RootDirectory, paths: &[PathBuf]) -> Result<()> {
    let mut empty: Option<OwnedFd> = None;
    let null = null_device().map_err(|errno| Error::Mask { path: NULL.into(), source: errno.into() })?;
    for path in paths {
        let failed = |errno: Errno| Error::Mask { path: path.clone(), source: errno.into() };
        let place = match root.find(path) {
            Ok(place) => place,
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(errno) => return Err(failed(errno)),
        };
        if file_type(&place).map_err(failed)? == FileType::Directory {
            empty = Some(hide_directory(&place, empty).map_err(failed)?);
        } else {
            let copy = clone_fd(null.as_fd(), false).map_err(failed)?;
            attach(&copy, &place).map_err(failed)?;
        }
    }
    Ok(())
}

/// Puts an empty directory over `place`: a new one, or one more view of the one that is there already.
fn hide_directory(place: &OwnedFd, empty: Option<OwnedFd>) -> rustix::io::Result<OwnedFd> {
    let attributes = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;
    let mount = match &empty {
        // Only what is attached can be copied (before Linux 6.15), which the first one is by now.
        Some(first) => clone_fd(first.as_fd(), false)?,
        None => filesystem("tmpfs", "tmpfs", &["size=0".into(), "nr_inodes=1".into()], attributes)?,
    };
    attach(&mount, place)?;
    Ok(empty.unwrap_or(mount))
}

const NULL: &str = "/dev/null";

/// The host's null device, which must be what it says.
fn null_device() -> rustix::io::Result<OwnedFd> {
    let null = rustix::fs::open(NULL, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let stat = rustix::fs::fstat(&null)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice || stat.st_rdev != makedev(1, 3) {
        return Err(Errno::NODEV);
    }
    Ok(null)
}

/// Makes `paths` read-only.
pub(super) fn protect(root: &RootDirectory, paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        let made = match root.find(path) {
            Ok(place) => make_read_only(&place),
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(errno) => Err(errno),
        };
        made.map_err(|errno| Error::ReadOnly { path: path.clone(), source: errno.into() })?;
    }
    Ok(())
}
