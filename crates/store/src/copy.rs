//! A directory tree copied with everything that is its own: owners, modes, times, extended attributes, links, devices.
//!
//! For what an image has under a volume's mount point. Both ends are hostile: the source is an image's, and the
//! target may be written by a running container at the same time. So every step names one entry of a directory that
//! is held open, never follows a link, and a name's path is only ever resolved beneath its root by openat2.
//!
//! Not done: sparse files lose their holes, open sockets are made anew.

mod entry;

use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// How deep a tree may be: each level holds two descriptors open.
const DEPTH: usize = 200;

/// What became of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// The source has no such directory.
    NoSource,
    /// The target holds something already, and was left alone.
    NotEmpty,
    /// Also the owner and mode of the directory itself.
    All,
}

/// Copies the directory `path` under `root`, resolved as if `root` were `/`, into the existing empty directory
/// `target`.
///
/// # Errors
/// What the kernel says. What has been copied by then stays.
pub fn directory(root: BorrowedFd<'_>, path: &Path, target: &Path) -> io::Result<Copied> {
    let Some(source) = open_source(root, path)? else { return Ok(Copied::NoSource) };
    let target = rustix::fs::openat(CWD, target, directory_flags(), Mode::empty())?;
    if !names(target.as_fd())?.is_empty() {
        return Ok(Copied::NotEmpty);
    }
    let mut copy = Copy { root: target.as_fd(), links: HashMap::new() };
    copy.contents(source.as_fd(), target.as_fd(), Path::new("."), 0)?;
    let stat = rustix::fs::fstat(&source)?;
    entry::describe(source.as_fd(), target.as_fd(), &stat)?;
    Ok(Copied::All)
}

/// The source directory, links followed inside `root` only; `None` if it is missing or no directory.
fn open_source(root: BorrowedFd<'_>, path: &Path) -> io::Result<Option<OwnedFd>> {
    match rustix::fs::openat2(
        root,
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT,
    ) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

const fn directory_flags() -> OFlags {
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC)
}

/// The entries of a directory. Read whole, so that no descriptor stays open for it while its children are copied.
fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

/// A copy under way.
struct Copy<'t> {
    /// The target's root.
    root: BorrowedFd<'t>,
    /// Where files with several links were copied to, by device and inode.
    links: HashMap<(u64, u64), PathBuf>,
}

impl Copy<'_> {
    fn contents(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        path: &Path,
        depth: usize,
    ) -> io::Result<()> {
        if depth > DEPTH {
            return Err(Errno::NAMETOOLONG.into());
        }
        for name in names(from)? {
            let stat = rustix::fs::statat(from, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            let path = path.join(OsStr::from_bytes(name.to_bytes()));
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                self.subdirectory(from, to, &name, &path, depth)?;
            } else if !self.link(&stat, to, &name)? {
                entry::copy(from, to, &name, &stat)?;
                if stat.st_nlink > 1 {
                    self.links.insert((stat.st_dev, stat.st_ino), path);
                }
            }
        }
        Ok(())
    }

    fn subdirectory(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &CString,
        path: &Path,
        depth: usize,
    ) -> io::Result<()> {
        rustix::fs::mkdirat(to, name, Mode::RWXU)?;
        let source = rustix::fs::openat(from, name, directory_flags(), Mode::empty())?;
        let target = rustix::fs::openat(to, name, directory_flags(), Mode::empty())?;
        self.contents(source.as_fd(), target.as_fd(), path, depth + 1)?;
        // Last: copying the children changed the directory's times.
        let stat = rustix::fs::fstat(&source)?;
        entry::describe(source.as_fd(), target.as_fd(), &stat)
    }

    /// Links `name` to where the same file was copied before; false if it wasn't.
    fn link(&self, stat: &Stat, to: BorrowedFd<'_>, name: &CString) -> io::Result<bool> {
        let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) else { return Ok(false) };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let file = rustix::fs::openat2(self.root, first, flags, Mode::empty(), resolve)?;
        rustix::fs::linkat(&file, c"", to, name, AtFlags::EMPTY_PATH)?;
        Ok(true)
    }
}

/// Copies a file's bytes, in the kernel where it can.
fn bytes(mut from: File, mut to: &File) -> io::Result<u64> {
    io::copy(&mut from, &mut to)
}

#[cfg(test)]
mod tests;
