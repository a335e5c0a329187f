//! The contents of `/dev`: standard devices, those of the specification, and the usual links.
//!
//! Nodes are made; where that is not allowed (a user namespace), the host's are bound instead.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat, makedev};
use rustix::io::Errno;

use super::mounts::{attach, clone_path};
use super::target::RootDirectory;
use crate::error::{Error, Result};
use crate::plan::DevicePlan;

/// What every container has under `/dev`, as the runtime specification lists it.
const STANDARD: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 6] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("/proc/kcore", "core"),
    ("pts/ptmx", "ptmx"),
];

/// The paths of the standard devices.
pub(crate) fn standard() -> impl Iterator<Item = PathBuf> {
    STANDARD.iter().map(|(name, ..)| Path::new("/dev").join(name))
}

/// Fills `/dev`.
pub(super) fn fill(root: &RootDirectory, devices: &[DevicePlan]) -> Result<()> {
    let dev = Path::new("/dev");
    let directory =
        root.directory(dev).map_err(|errno| Error::Device { path: dev.into(), source: errno.into() })?;
    // Whoever lists one himself decides on its mode and owner.
    let unlisted = |name: &str| !devices.iter().any(|device| device.path == dev.join(name));
    for (name, major, minor) in STANDARD.into_iter().filter(|(name, ..)| unlisted(name)) {
        let device = DevicePlan {
            path: dev.join(name),
            kind: FileType::CharacterDevice,
            major,
            minor,
            mode: 0o666,
            uid: 0,
            gid: 0,
        };
        make(&directory, OsStr::new(name), &device)?;
    }
    for device in devices {
        let (parent, name) = root
            .parent(&device.path)
            .map_err(|errno| Error::Device { path: device.path.clone(), source: errno.into() })?;
        make(&parent, name, device)?;
    }
    for (target, name) in LINKS {
        link(&directory, target, name)
            .map_err(|errno| Error::Device { path: dev.join(name), source: errno.into() })?;
    }
    Ok(())
}

fn make(directory: &OwnedFd, name: &OsStr, device: &DevicePlan) -> Result<()> {
    let failed = |errno: Errno| Error::Device { path: device.path.clone(), source: errno.into() };
    let number = makedev(device.major, device.minor);
    let mode = Mode::from_raw_mode(device.mode);
    match rustix::fs::mknodat(directory, name, device.kind, mode, number) {
        Ok(()) => {}
        Err(Errno::EXIST) => return verify(directory, name, device).map_err(failed),
        Err(Errno::PERM) => return bind(directory, name, device).map_err(failed),
        Err(errno) => return Err(failed(errno)),
    }
    if device.uid != 0 || device.gid != 0 {
        let uid = rustix::fs::Uid::from_raw(device.uid);
        let gid = rustix::fs::Gid::from_raw(device.gid);
        rustix::fs::chownat(directory, name, Some(uid), Some(gid), rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed)?;
    }
    Ok(())
}

/// What is already there (from the image, or a device listed twice) must be the device that is asked for.
fn verify(directory: &OwnedFd, name: &OsStr, device: &DevicePlan) -> rustix::io::Result<()> {
    let stat = rustix::fs::statat(directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
    if is(&stat, device) { Ok(()) } else { Err(Errno::EXIST) }
}

fn is(stat: &Stat, device: &DevicePlan) -> bool {
    FileType::from_raw_mode(stat.st_mode) == device.kind
        && (device.kind == FileType::Fifo || stat.st_rdev == makedev(device.major, device.minor))
}

/// The host's device of the same path, bound over an empty file.
fn bind(directory: &OwnedFd, name: &OsStr, device: &DevicePlan) -> rustix::io::Result<()> {
    let source = clone_path(&device.path, false)?;
    if !is(&rustix::fs::fstat(&source)?, device) {
        return Err(Errno::NODEV);
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o644))?;
    let place = rustix::fs::openat(
        directory.as_fd(),
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    attach(&source, &place)
}

/// A link of `/dev`. `ptmx` must be the container's own, whatever the image brought.
fn link(directory: &OwnedFd, target: &str, name: &str) -> rustix::io::Result<()> {
    match rustix::fs::symlinkat(target, directory, name) {
        Err(Errno::EXIST) if name == "ptmx" => {
            rustix::fs::unlinkat(directory, name, rustix::fs::AtFlags::empty())?;
            rustix::fs::symlinkat(target, directory, name)
        }
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}
