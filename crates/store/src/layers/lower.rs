//! Looks up names in the layers below, as an overlay of them would show them, without mounting one.
//!
//! Whiteouts and opaque directories hide what is beneath; no symlink is followed.

use super::root::{is_opaque, is_whiteout};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// The layers below, topmost first.
pub(crate) struct Lower(Vec<PathBuf>);

/// Something in a layer below.
pub(super) struct Found {
    /// The directory it is in.
    pub(super) parent: File,
    pub(super) name: Vec<u8>,
    pub(super) stat: Stat,
}

impl Lower {
    pub(crate) fn new(topmost_first: Vec<PathBuf>) -> Self {
        Self(topmost_first)
    }

    /// Whether a merged view shows something at `path`.
    pub(crate) fn contains(&self, path: &[u8]) -> io::Result<bool> {
        Ok(self.find(path)?.is_some())
    }

    /// What a merged view shows at `path` (clean; empty is the root).
    pub(super) fn find(&self, path: &[u8]) -> io::Result<Option<Found>> {
        let mut directories = self.0.iter().map(open_root).collect::<io::Result<Vec<_>>>()?;
        if path.is_empty() {
            return directories.into_iter().next().map(|root| found(root, b".")).transpose();
        }
        let mut parts = path.split(|b| *b == b'/').peekable();
        while let Some(part) = parts.next() {
            let (first, below) = step(&directories, part)?;
            match first {
                Some(place) if parts.peek().is_none() => {
                    let parent = directories.swap_remove(place);
                    return found(parent, part).map(Some);
                }
                _ if below.is_empty() => return Ok(None),
                _ => directories = below,
            }
        }
        Ok(None)
    }
}

/// One name in a merged directory: which layer shows it, and, if it is a directory, all that it is merged from.
fn step(directories: &[File], part: &[u8]) -> io::Result<(Option<usize>, Vec<File>)> {
    let mut first = None;
    let mut below = Vec::new();
    for (place, directory) in directories.iter().enumerate() {
        let stat = match rustix::fs::statat(directory, part, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            other => other?,
        };
        if is_whiteout(&stat) {
            break;
        }
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if first.is_some() && !is_directory {
            break;
        }
        first.get_or_insert(place);
        if !is_directory {
            break;
        }
        let child = open_directory(directory, part)?;
        let opaque = is_opaque(&child);
        below.push(child);
        if opaque {
            break;
        }
    }
    Ok((first, below))
}

fn open_root(path: &PathBuf) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

fn open_directory(parent: &File, name: &[u8]) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?.into())
}

fn found(parent: File, name: &[u8]) -> io::Result<Found> {
    let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Found { parent, name: name.to_owned(), stat })
}
