//! Removes and measures directory trees that strangers have filled.
//!
//! Everything is reached from an open directory by one name at a time: no symlink is followed, no mount
//! crossed. Trees may be deeper than the number of descriptors a process may have: what lies deep is
//! moved up first.

use crate::error::{Error, OnFile, Result};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How many directories, one in the other, are open at once.
const OPEN_LEVELS: usize = 64;

/// A directory being emptied.
struct Level {
    name: Vec<u8>,
    directory: Dir,
    /// Whether this pass over the directory has removed or moved anything.
    progress: bool,
}

/// Removes `name` in `parent`, whatever it is, with all that is in it. It is no error if it is not there.
///
/// # Errors
/// The first failure; everything else is removed nevertheless.
pub(crate) fn remove(parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    match unlink(parent, name) {
        Err(Errno::ISDIR) => {}
        other => return other.on("remove", path(name)),
    }
    let mut failure = None;
    let mut levels = vec![open_level(parent, name).on("open", path(name))?];
    let mut moved = 0u64;
    while let Some(level) = levels.len().checked_sub(1) {
        let next = next_name(&mut levels[level].directory).on("read", path(&levels[level].name))?;
        let Some(child) = next else {
            finish_level(parent, &mut levels, &mut failure)?;
            continue;
        };
        let directory = borrow(&levels[level].directory)?;
        match unlink(directory, &child) {
            Ok(()) => levels[level].progress = true,
            Err(Errno::ISDIR) if levels.len() == OPEN_LEVELS => {
                move_up(directory, &child, borrow(&levels[0].directory)?, &mut moved)
                    .on("move", path(&child))?;
                levels[level].progress = true;
            }
            Err(Errno::ISDIR) => match open_level(directory, &child) {
                Ok(next) => levels.push(next),
                Err(e) => note(&mut failure, "open", &child, e),
            },
            Err(e) => note(&mut failure, "remove", &child, e),
        }
    }
    failure.map_or(Ok(()), Err)
}

/// Removes the directory or file at `path`.
pub(crate) fn remove_path(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = rustix::fs::open(parent, flags, Mode::empty()).on("open", parent)?;
    remove(parent.as_fd(), name.as_bytes())
}

/// Ends a pass over the innermost directory: it goes if it is empty, and is read again if it got new entries.
fn finish_level(parent: BorrowedFd<'_>, levels: &mut Vec<Level>, failure: &mut Option<Error>) -> Result<()> {
    let Some(mut done) = levels.pop() else { return Ok(()) };
    let above = match levels.last() {
        Some(level) => borrow(&level.directory)?,
        None => parent,
    };
    match rustix::fs::unlinkat(above, &*done.name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => {
            if let Some(level) = levels.last_mut() {
                level.progress = true;
            }
        }
        Err(Errno::NOTEMPTY) if done.progress => {
            done.directory.rewind();
            done.progress = false;
            levels.push(done);
        }
        // What could not be removed inside has been noted already.
        Err(Errno::NOTEMPTY) if failure.is_some() => {}
        Err(e) => note(failure, "remove", &done.name, e),
    }
    Ok(())
}

fn unlink(directory: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn open_level(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<Level> {
    let directory = Dir::new(open_child(parent, name)?)?;
    Ok(Level { name: name.to_owned(), directory, progress: false })
}

fn open_child(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(parent, name, flags, Mode::empty(), resolve)
}

fn next_name(directory: &mut Dir) -> rustix::io::Result<Option<Vec<u8>>> {
    loop {
        match directory.read().transpose()? {
            None => return Ok(None),
            Some(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
            Some(entry) => return Ok(Some(entry.file_name().to_bytes().to_owned())),
        }
    }
}

/// Moves a directory that lies too deep to the top of the tree.
fn move_up(
    from: BorrowedFd<'_>,
    name: &[u8],
    top: BorrowedFd<'_>,
    moved: &mut u64,
) -> rustix::io::Result<()> {
    loop {
        *moved += 1;
        let free = format!(".barge-deep-{moved}");
        match rustix::fs::renameat_with(from, name, top, free, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            other => return other,
        }
    }
}

fn borrow(directory: &Dir) -> Result<BorrowedFd<'_>> {
    directory.fd().on("use", "directory")
}

fn note(failure: &mut Option<Error>, operation: &'static str, name: &[u8], error: Errno) {
    failure.get_or_insert(Error::File { operation, path: path(name), source: io::Error::from(error) });
}

fn path(name: &[u8]) -> PathBuf {
    OsStr::from_bytes(name).into()
}

/// The bytes that a tree takes on the disk, files with several links once. Levels deeper than
/// [`OPEN_LEVELS`] are not counted.
pub(crate) fn usage(root: &Path) -> Result<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(root, flags, Mode::empty()).on("open", root)?;
    let mut levels = vec![Dir::new(fd).on("read", root)?];
    let mut seen = HashSet::new();
    let mut bytes = 0;
    while let Some(directory) = levels.last_mut() {
        let Some(name) = next_name(directory).on("read", root)? else {
            levels.pop();
            continue;
        };
        let fd = borrow(directory)?;
        let stat = match rustix::fs::statat(fd, &*name, AtFlags::SYMLINK_NOFOLLOW) {
            // A running container removes files meanwhile.
            Err(Errno::NOENT) => continue,
            other => other.on("inspect", path(&name))?,
        };
        if stat.st_nlink == 1 || seen.insert((stat.st_dev, stat.st_ino)) {
            bytes += u64::try_from(stat.st_blocks).unwrap_or_default() * 512;
        }
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if is_directory
            && levels.len() < OPEN_LEVELS
            && let Ok(child) = open_child(borrow(&levels[levels.len() - 1])?, &name)
        {
            levels.push(Dir::new(child).on("read", path(&name))?);
        }
    }
    Ok(bytes)
}
