//! Goes through a hostile directory tree, parents before children, names sorted.
//!
//! Each directory is opened beneath the root, no link followed; only the innermost few stay open.

use crate::error::{OnFile, Result};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How many directories stay open.
const OPEN_LEVELS: usize = 32;

/// A walk under way.
pub(super) struct Walk {
    root: OwnedFd,
    levels: Vec<Level>,
}

struct Level {
    /// Relative to the root; empty is the root.
    path: Vec<u8>,
    directory: Option<OwnedFd>,
    /// Largest first: taken from the end.
    names: Vec<Vec<u8>>,
}

/// A file or directory.
pub(super) struct Found {
    /// Relative to the root.
    pub(super) path: Vec<u8>,
    pub(super) stat: Stat,
    name: Vec<u8>,
    /// The level whose directory holds it.
    level: usize,
}

impl Found {
    pub(super) fn path_buf(&self) -> PathBuf {
        OsStr::from_bytes(&self.path).into()
    }
}

impl Walk {
    pub(super) fn open(root: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(root, flags, Mode::empty()).on("open", root)?;
        let mut walk = Self { root: fd, levels: Vec::new() };
        walk.enter(Vec::new())?;
        Ok(walk)
    }

    /// The next file or directory; its children come after it.
    pub(super) fn next(&mut self) -> Result<Option<Found>> {
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.names.pop() else {
                self.levels.pop();
                self.reopen()?;
                continue;
            };
            let path =
                if level.path.is_empty() { name.clone() } else { [&level.path[..], &name].join(&b'/') };
            let shown = || PathBuf::from(OsStr::from_bytes(&path));
            let Some(directory) = &level.directory else { continue };
            let stat = match rustix::fs::statat(directory, &*name, AtFlags::SYMLINK_NOFOLLOW) {
                // Removed meanwhile by a running container.
                Err(Errno::NOENT) => continue,
                other => other.on("inspect", shown())?,
            };
            let level = self.levels.len() - 1;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                self.enter(path.clone())?;
            }
            return Ok(Some(Found { path, stat, name, level }));
        }
        Ok(None)
    }

    /// Opens what was found, if it still is no link.
    pub(super) fn open_child(&self, found: &Found, flags: OFlags) -> Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match &self.levels[found.level].directory {
            Some(directory) => rustix::fs::openat(directory, &*found.name, flags, Mode::empty()),
            None => self.open_beneath(&found.path, flags),
        };
        Ok(file.on("open", found.path_buf())?.into())
    }

    /// The target of the symlink that was found.
    pub(super) fn read_link(&self, found: &Found) -> Result<Vec<u8>> {
        let Some(directory) = &self.levels[found.level].directory else { return Ok(Vec::new()) };
        let target = rustix::fs::readlinkat(directory, &*found.name, Vec::new());
        Ok(target.on("read link", found.path_buf())?.into_bytes())
    }

    fn enter(&mut self, path: Vec<u8>) -> Result<()> {
        let shown = || PathBuf::from(OsStr::from_bytes(&path));
        let fd = match self.open_beneath(&path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            other => other.on("open", shown())?,
        };
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd).on("read", shown())? {
            let name = entry.on("read", shown())?.file_name().to_bytes().to_owned();
            if !matches!(&name[..], b"." | b"..") {
                names.push(name);
            }
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        if let Some(outer) = self.levels.len().checked_sub(OPEN_LEVELS) {
            self.levels[outer].directory = None;
        }
        self.levels.push(Level { path, directory: Some(fd), names });
        Ok(())
    }

    /// Opens the innermost directory again if it was closed.
    fn reopen(&mut self) -> Result<()> {
        let Some(level) = self.levels.last() else { return Ok(()) };
        if level.directory.is_some() || level.names.is_empty() {
            return Ok(());
        }
        let path = PathBuf::from(OsStr::from_bytes(&level.path));
        let fd = self.open_beneath(&level.path, OFlags::RDONLY | OFlags::DIRECTORY).on("open", path)?;
        if let Some(level) = self.levels.last_mut() {
            level.directory = Some(fd);
        }
        Ok(())
    }

    fn open_beneath(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        rustix::fs::openat2(&self.root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }
}
