//! One entry that is no directory, and what an entry has besides its content.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

/// Makes `name` in `to` what it is in `from`.
pub(super) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> io::Result<()> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return file(from, to, name, stat),
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())?;
            rustix::fs::symlinkat(target, to, name)?;
        }
        kind => {
            rustix::fs::mknodat(to, name, kind, Mode::RUSR | Mode::WUSR, stat.st_rdev)?;
            own(to, name, stat)?;
            // The entry was just made and is no link unless a container put one there meanwhile: then its target
            // inside that container gets the mode, which the container may do as well.
            rustix::fs::chmodat(to, name, permissions(stat), AtFlags::SYMLINK_NOFOLLOW)
                .or_else(|error| if error == Errno::OPNOTSUPP { Ok(()) } else { Err(error) })?;
            return times(to, name, stat);
        }
    }
    own(to, name, stat)?;
    times(to, name, stat)
}

fn file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> io::Result<()> {
    // Non-blocking: a pipe put in the file's place must not hold us up.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = rustix::fs::openat(from, name, flags, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let target = File::from(rustix::fs::openat(to, name, flags, Mode::RUSR | Mode::WUSR)?);
    let source = File::from(source);
    super::bytes(source.try_clone()?, &target)?;
    describe(source.as_fd(), target.as_fd(), stat)
}

/// Gives an open file or directory the owner, mode, extended attributes and times of another.
///
/// In this order: a change of owner clears set-user-ID bits and file capabilities.
pub(super) fn describe(from: BorrowedFd<'_>, to: BorrowedFd<'_>, stat: &Stat) -> io::Result<()> {
    rustix::fs::fchown(to, owner(stat), group(stat))?;
    rustix::fs::fchmod(to, permissions(stat))?;
    attributes(from, to)?;
    rustix::fs::futimens(to, &timestamps(stat))?;
    Ok(())
}

fn attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let mut list = vec![0u8; 64 << 10];
    let length = match rustix::fs::flistxattr(from, &mut list[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut value = Vec::new();
    for name in list[..length]
        .split_inclusive(|byte| *byte == 0)
        .filter_map(|name| CStr::from_bytes_with_nul(name).ok())
    {
        value.resize(64 << 10, 0);
        let length = rustix::fs::fgetxattr(from, name, &mut value[..])?;
        match rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty()) {
            // The target's file system has no such attributes.
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn own(directory: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> io::Result<()> {
    Ok(rustix::fs::chownat(directory, name, owner(stat), group(stat), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn times(directory: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> io::Result<()> {
    Ok(rustix::fs::utimensat(directory, name, &timestamps(stat), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn owner(stat: &Stat) -> Option<Uid> {
    Some(Uid::from_raw(stat.st_uid))
}

fn group(stat: &Stat) -> Option<Gid> {
    Some(Gid::from_raw(stat.st_gid))
}

fn permissions(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode)
}

fn timestamps(stat: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec as i64),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec as i64),
    }
}
