//! The part of a layer that depends on the layers below it.
//!
//! Layers are extracted each on its own and in any order. Two things need the ones below: a directory that no entry
//! names gets its mode, owner and times from there, and a hard link to a file that is only there gets a copy of it
//! (a link can't cross layers). If they are not here yet, this is put off, and noted in the layer's document,
//! until the image is recorded. Doing it twice is the same as once.

use super::deferred::is_replaced;
use super::lower::{Found, Lower};
use super::metadata::{self, Unopened};
use super::root::{Place, Root, extract};
use crate::error::{Error, Result};
use crate::tar::{Metadata, Time};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

/// What is still to be done to a layer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unsettled {
    /// Directories that no entry names.
    pub(super) implicit: Vec<Vec<u8>>,
    /// Hard links and their targets.
    pub(super) links: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Unsettled {
    pub(super) fn is_empty(&self) -> bool {
        self.implicit.is_empty() && self.links.is_empty()
    }

    /// Does it.
    pub(super) fn settle(&self, root: &mut Root, lower: &Lower) -> Result<()> {
        for (name, target) in &self.links {
            link(root, lower, name, target)?;
        }
        for path in &self.implicit {
            adopt(root, lower, path).map_err(|e| extract(path, e))?;
        }
        Ok(())
    }
}

fn link(root: &mut Root, lower: &Lower, name: &[u8], target: &[u8]) -> Result<()> {
    let place = match root.find(name) {
        Err(e) if is_replaced(&e) => return Ok(()),
        other => other.map_err(|e| extract(name, e))?,
    };
    let times = times(&place).map_err(|e| extract(name, e))?;
    let here = root.find(target).and_then(|target| {
        Ok(rustix::fs::linkat(&*target.parent, target.name, &*place.parent, place.name, AtFlags::empty())?)
    });
    match here {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(e) if is_replaced(&e) => match lower.find(target).map_err(|e| extract(name, e))? {
            Some(found) => copy(&found, &place).map_err(|e| extract(name, e))?,
            None => return Err(dangling(name, target)),
        },
        other => other.map_err(|e| extract(name, e))?,
    }
    rustix::fs::utimensat(&*place.parent, ".", &times, AtFlags::empty()).map_err(|e| extract(name, e.into()))
}

fn dangling(name: &[u8], target: &[u8]) -> Error {
    Error::LayerEntry {
        name: String::from_utf8_lossy(name).into_owned(),
        reason: format!("hard link to {:?}, which does not exist", String::from_utf8_lossy(target)),
    }
}

fn times(place: &Place<'_>) -> io::Result<Timestamps> {
    let stat = rustix::fs::statat(&*place.parent, ".", AtFlags::empty())?;
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    Ok(Timestamps {
        last_access: time(stat.st_atime, i64::try_from(stat.st_atime_nsec).unwrap_or_default()),
        last_modification: time(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or_default()),
    })
}

/// Copies a file of a layer below, with all that belongs to it.
fn copy(from: &Found, to: &Place<'_>) -> io::Result<()> {
    let mut metadata = metadata_of(&from.stat);
    let kind = FileType::from_raw_mode(from.stat.st_mode);
    let unopened = match kind {
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut source: File =
                rustix::fs::openat(&from.parent, &*from.name, flags, Mode::empty())?.into();
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut copy: File =
                rustix::fs::openat(&*to.parent, to.name, flags, Mode::from_raw_mode(0o600))?.into();
            io::copy(&mut source, &mut copy)?;
            metadata.xattrs = crate::xattrs::read(&source)?;
            return metadata::apply(&copy, &metadata, false);
        }
        FileType::Directory => return Err(io::ErrorKind::IsADirectory.into()),
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(&from.parent, &*from.name, Vec::new())?;
            rustix::fs::symlinkat(&*target, &*to.parent, to.name)?;
            Unopened::Symlink
        }
        special => {
            rustix::fs::mknodat(
                &*to.parent,
                to.name,
                special,
                Mode::from_raw_mode(0o600),
                from.stat.st_rdev,
            )?;
            Unopened::Special
        }
    };
    metadata::apply_at(to.parent.as_fd(), to.name, &metadata, unopened)
}

/// Gives a directory that no entry names what its namesake below has; 0755 and root's if there is none.
fn adopt(root: &Root, lower: &Lower, path: &[u8]) -> io::Result<()> {
    let directory: File = match root.directory(path, OFlags::RDONLY | OFlags::NOFOLLOW) {
        Err(e) if is_replaced(&e) => return Ok(()),
        other => other?.into(),
    };
    let Some(found) = lower.find(path)?.filter(|found| is_directory(&found.stat)) else {
        return Ok(rustix::fs::fchmod(&directory, Mode::from_raw_mode(0o755))?);
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let below: File = rustix::fs::openat(&found.parent, &*found.name, flags, Mode::empty())?.into();
    let metadata = Metadata { xattrs: crate::xattrs::read(&below)?, ..metadata_of(&found.stat) };
    metadata::apply(&directory, &metadata, false)
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn metadata_of(stat: &Stat) -> Metadata {
    Metadata {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Time {
            seconds: stat.st_mtime,
            nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
        },
        xattrs: Vec::new(),
    }
}
