//! Copying what is at a place into the new filesystem that will hide it (`tmpcopyup`).
//!
//! Everything is opened from descriptor to descriptor and no link is followed: the image decides what is here. Owners
//! and modes are kept, sockets and the contents of other mounts are not copied.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::target::file_type;

/// Directories below one another; deeper ones are an attack on the stack.
const DEEPEST: u32 = 256;

const LOOK: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);

/// Copies the contents of the directory `from` into the directory `to`.
pub(super) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let source = open(from, c".", OFlags::RDONLY | OFlags::DIRECTORY)?;
    copy_directory(&source, to, 0)
}

fn open(at: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat2(at, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), LOOK)
}

fn copy_directory(from: &OwnedFd, to: BorrowedFd<'_>, depth: u32) -> rustix::io::Result<()> {
    if depth == DEEPEST {
        return Err(Errno::NAMETOOLONG);
    }
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        copy_entry(from.as_fd(), to, name, &stat, depth)?;
    }
    Ok(())
}

fn copy_entry(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &CStr,
    stat: &Stat,
    depth: u32,
) -> rustix::io::Result<()> {
    let private = Mode::from_raw_mode(0o700);
    let kind = FileType::from_raw_mode(stat.st_mode);
    match kind {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, private)?;
            let made = open(to, name, OFlags::RDONLY | OFlags::DIRECTORY)?;
            match open(from, name, OFlags::RDONLY | OFlags::DIRECTORY) {
                Ok(source) => copy_directory(&source, made.as_fd(), depth + 1)?,
                Err(Errno::XDEV) => {}
                Err(errno) => return Err(errno),
            }
        }
        FileType::RegularFile => copy_file(from, to, name)?,
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())?;
            rustix::fs::symlinkat(target, to, name)?;
        }
        FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice => {
            rustix::fs::mknodat(to, name, kind, private, stat.st_rdev)?;
        }
        _ => return Ok(()),
    }
    let (uid, gid) = (rustix::fs::Uid::from_raw(stat.st_uid), rustix::fs::Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    match kind {
        FileType::Symlink => Ok(()),
        // After the owner, whose change takes away setuid bits. Nobody else can reach the new filesystem yet.
        _ => rustix::fs::chmodat(to, name, Mode::from_raw_mode(stat.st_mode & 0o7777), AtFlags::empty()),
    }
}

fn copy_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
    let source = match open(from, name, OFlags::RDONLY | OFlags::NONBLOCK) {
        // A file bound over one of the image.
        Err(Errno::XDEV) => return Ok(()),
        result => result?,
    };
    // What was a file a moment ago may be a pipe or a device by now, which would never end.
    if file_type(&source)? != FileType::RegularFile {
        return Err(Errno::STALE);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(to, name, flags, Mode::from_raw_mode(0o600))?;
    io::copy(&mut File::from(source), &mut File::from(made))
        .map(drop)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_any_more_is_neither_waited_for_nor_followed() {
        let base = std::env::temp_dir().join(format!("barge-copy-up-{}", std::process::id()));
        std::fs::create_dir_all(base.join("to")).unwrap();
        let open = |name: &str| {
            rustix::fs::open(base.join(name), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
        };
        let private = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(open("."), c"pipe", FileType::Fifo, private, 0).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", base.join("link")).unwrap();
        let (from, to) = (open("."), open("to"));
        assert_eq!(copy_file(from.as_fd(), to.as_fd(), c"pipe"), Err(Errno::STALE));
        assert_eq!(copy_file(from.as_fd(), to.as_fd(), c"link"), Err(Errno::LOOP));
        assert_eq!(std::fs::read_dir(base.join("to")).unwrap().count(), 0);
        std::fs::remove_dir_all(base).unwrap();
    }
}
