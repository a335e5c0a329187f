//! Owner, mode, extended attributes and times put on what was extracted.
//!
//! The order matters: changing the owner clears setuid bits and capabilities, so both come after it, and
//! times come last.

use crate::tar::{Metadata, Time};
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Puts metadata on an open file or directory.
pub(super) fn apply(file: &File, metadata: &Metadata, owned_by_us: bool) -> io::Result<()> {
    // New files belong to root already, as most in a layer do.
    if !owned_by_us || metadata.uid != 0 || metadata.gid != 0 {
        rustix::fs::fchown(file, Some(uid(metadata)), Some(gid(metadata)))?;
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(metadata.mode))?;
    for (name, value) in wanted(metadata) {
        let result = rustix::fs::fsetxattr(file, name, value, XattrFlags::empty());
        tolerate(name, result)?;
    }
    rustix::fs::futimens(file, &timestamps(metadata.mtime))?;
    Ok(())
}

/// What a name stands for that cannot be opened for this.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unopened {
    Symlink,
    Special,
}

/// Puts metadata on a symlink, device or fifo that was just made.
pub(super) fn apply_at(
    parent: BorrowedFd<'_>,
    name: &[u8],
    metadata: &Metadata,
    what: Unopened,
) -> io::Result<()> {
    rustix::fs::chownat(parent, name, Some(uid(metadata)), Some(gid(metadata)), AtFlags::SYMLINK_NOFOLLOW)?;
    if what == Unopened::Special {
        // Follows links, but this is the node that this thread has just made.
        rustix::fs::chmodat(parent, name, Mode::from_raw_mode(metadata.mode), AtFlags::empty())?;
    }
    if !metadata.xattrs.is_empty() {
        let path = [format!("/proc/self/fd/{}/", parent.as_raw_fd()).as_bytes(), name].concat();
        for (name, value) in wanted(metadata) {
            tolerate(name, rustix::fs::lsetxattr(&*path, name, value, XattrFlags::empty()))?;
        }
    }
    rustix::fs::utimensat(parent, name, &timestamps(metadata.mtime), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

pub(super) fn timestamps(mtime: Time) -> Timestamps {
    let time = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// The attributes that a layer may set. Overlay's own are not among them: by a redirect a layer could name
/// directories of other layers.
fn wanted(metadata: &Metadata) -> impl Iterator<Item = (&[u8], &[u8])> {
    let allowed = |name: &[u8]| !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay.");
    metadata.xattrs.iter().map(|(name, value)| (&name[..], &value[..])).filter(move |(name, _)| allowed(name))
}

/// Attributes that this file system or kernel does not take are left out, as Docker does.
fn tolerate(name: &[u8], result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::NOTSUP) => Ok(()),
        // `user.` attributes are for regular files and directories only.
        Err(Errno::PERM) if name.starts_with(b"user.") => Ok(()),
        other => Ok(other?),
    }
}

fn uid(metadata: &Metadata) -> Uid {
    Uid::from_raw(metadata.uid)
}

fn gid(metadata: &Metadata) -> Gid {
    Gid::from_raw(metadata.gid)
}
