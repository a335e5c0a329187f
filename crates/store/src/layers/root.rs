//! The directory that a layer is extracted to, reached only through descriptors.
//!
//! An entry's parent directory is opened by the kernel with the layer's directory as its root
//! (`RESOLVE_IN_ROOT`): a symlink, `..` or absolute name in a layer leads to a place inside, as it would in a
//! container. What is made is then made by its last name relative to that descriptor, never following
//! a link. So no order of entries can make two look-ups of a name differ in a way that leads out.
//!
//! Open parents are kept, since a layer's entries come directory by directory.

use crate::error::{Error, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

/// How many parents are kept open.
const OPEN_PARENTS: usize = 128;
/// How many symlinks may be followed to make one missing directory, as in the kernel.
const MAX_LINKS: u32 = 40;
/// How often a look-up that a concurrent rename has disturbed is tried.
const MAX_TRIES: u32 = 64;

/// Makes a directory opaque: nothing of the layers below shows through.
const OPAQUE: &str = "trusted.overlay.opaque";

/// A layer's directory.
pub(super) struct Root {
    fd: OwnedFd,
    parents: HashMap<Vec<u8>, Arc<OwnedFd>>,
}

/// Where an entry goes: an open directory and a name in it.
pub(super) struct Place<'a> {
    pub(super) parent: Arc<OwnedFd>,
    pub(super) name: &'a [u8],
}

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { fd, parents: HashMap::new() })
    }

    /// Opens the directory `path` (clean and relative; empty is the layer's own).
    pub(super) fn directory(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        let mut tries = 0;
        loop {
            match rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), resolve) {
                // `..` in a symlink while anything on the machine is renamed.
                Err(Errno::AGAIN) if tries < MAX_TRIES => tries += 1,
                result => return Ok(result?),
            }
        }
    }

    /// Where the entry `path` goes, if its parent is there. `path` must not be empty.
    pub(super) fn find<'a>(&mut self, path: &'a [u8]) -> io::Result<Place<'a>> {
        let (parent, name) = split(path);
        if let Some(fd) = self.parents.get(parent) {
            return Ok(Place { parent: Arc::clone(fd), name });
        }
        let fd = Arc::new(self.directory(parent, OFlags::PATH)?);
        if self.parents.len() >= OPEN_PARENTS {
            self.parents.clear();
        }
        self.parents.insert(parent.to_owned(), Arc::clone(&fd));
        Ok(Place { parent: fd, name })
    }

    /// Where the entry `path` goes; parents that are missing are made and told to `made`.
    pub(super) fn place<'a>(
        &mut self,
        path: &'a [u8],
        made: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<Place<'a>> {
        match self.find(path) {
            Err(e) if is_missing(&e) => {
                self.make_directory(split(path).0, MAX_LINKS, made)?;
                self.find(path).map_err(|e| extract(path, e))
            }
            other => other.map_err(|e| extract(path, e)),
        }
    }

    /// Makes a directory that no entry has named (yet), and those above it.
    fn make_directory(
        &mut self,
        path: &[u8],
        links: u32,
        made: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        if path.is_empty() || self.directory(path, OFlags::PATH).is_ok() {
            return Ok(());
        }
        self.make_directory(split(path).0, links, made)?;
        let place = self.find(path).map_err(|e| extract(path, e))?;
        match rustix::fs::mkdirat(&*place.parent, place.name, Mode::from_raw_mode(0o700)) {
            Ok(()) => return made(path),
            Err(Errno::EXIST) => {}
            Err(e) => return Err(extract(path, e.into())),
        }
        let stat = place.stat().map_err(|e| extract(path, e))?;
        if is_whiteout(&stat) {
            place.replace_whiteout_by_directory().map_err(|e| extract(path, e))?;
            return made(path);
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink || links == 0 {
            return Err(extract(path, io::ErrorKind::NotADirectory.into()));
        }
        // A link whose target lies in a layer below, or comes later.
        let target = rustix::fs::readlinkat(&*place.parent, place.name, Vec::new())
            .map_err(|e| extract(path, e.into()))?;
        let target = link_target(split(path).0, target.to_bytes());
        self.make_directory(&target, links - 1, made)
    }

    /// Removes what is at a place, whatever it is.
    pub(super) fn clear(&mut self, place: &Place<'_>) -> Result<()> {
        // A directory or link that goes may have been on the way to one that is kept open.
        self.parents.clear();
        crate::tree::remove(place.parent.as_fd(), place.name)
    }
}

impl Place<'_> {
    pub(super) fn stat(&self) -> io::Result<Stat> {
        Ok(rustix::fs::statat(&*self.parent, self.name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Opens the directory at this place, not following a link.
    pub(super) fn open_directory(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&*self.parent, self.name, flags, Mode::empty())?.into())
    }

    /// Lets a directory take the place of a whiteout: what is below stays hidden.
    pub(super) fn replace_whiteout_by_directory(&self) -> io::Result<()> {
        rustix::fs::unlinkat(&*self.parent, self.name, AtFlags::empty())?;
        rustix::fs::mkdirat(&*self.parent, self.name, Mode::from_raw_mode(0o700))?;
        make_opaque(&self.open_directory()?)
    }
}

/// Marks a directory as opaque.
pub(super) fn make_opaque(directory: &File) -> io::Result<()> {
    Ok(rustix::fs::fsetxattr(directory, OPAQUE, b"y", rustix::fs::XattrFlags::empty())?)
}

/// Whether a directory is opaque.
pub(crate) fn is_opaque(directory: &File) -> bool {
    let mut value = [0u8; 4];
    matches!(rustix::fs::fgetxattr(directory, OPAQUE, &mut value), Ok(1) if value[0] == b'y')
}

/// Overlay's mark for "removed in this layer": a character device 0:0.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Parent and last name of a clean path.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// A name of the archive as a clean relative path; the layer's root is empty. Absolute names begin at the
/// root; `None` for names that lead above it, or hold a NUL.
pub(super) fn clean(name: &[u8]) -> Option<Vec<u8>> {
    let mut path: Vec<&[u8]> = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                path.pop()?;
            }
            part if part.contains(&0) => return None,
            part => path.push(part),
        }
    }
    Some(path.join(&b'/'))
}

/// Where a symlink in `directory` leads, inside the root: `..` stops there, as in a chroot.
fn link_target(directory: &[u8], target: &[u8]) -> Vec<u8> {
    let base = if target.starts_with(b"/") { &b""[..] } else { directory };
    let mut path: Vec<&[u8]> = base.split(|b| *b == b'/').filter(|part| !part.is_empty()).collect();
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path.join(&b'/')
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Names the entry in the error of a system call.
pub(super) fn extract(path: &[u8], source: io::Error) -> Error {
    Error::Extract { name: String::from_utf8_lossy(path).into_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_never_lead_above_the_root() {
        let cases: [(&str, Option<&str>); 12] = [
            ("a/b", Some("a/b")),
            ("./a//b/", Some("a/b")),
            ("/etc/passwd", Some("etc/passwd")),
            ("a/./b/../c", Some("a/c")),
            ("", Some("")),
            (".", Some("")),
            ("/", Some("")),
            ("a/..", Some("")),
            ("..", None),
            ("a/../../b", None),
            ("/../etc", None),
            ("a\0b", None),
        ];
        for (name, expected) in cases {
            assert_eq!(clean(name.as_bytes()).as_deref(), expected.map(str::as_bytes), "{name}");
        }
    }

    #[test]
    fn link_targets_stay_inside() {
        let cases = [
            ("a/b", "c", "a/b/c"),
            ("a/b", "../c", "a/c"),
            ("a", "/x/y", "x/y"),
            ("a", "../../../x", "x"),
            ("", "..", ""),
        ];
        for (directory, target, expected) in cases {
            assert_eq!(link_target(directory.as_bytes(), target.as_bytes()), expected.as_bytes());
        }
    }
}
