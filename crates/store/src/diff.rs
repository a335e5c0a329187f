//! What a container has changed: as a list, and as the tar of a layer.
//!
//! The upper directory is in overlay's format and becomes OCI's: a character device 0:0 is `.wh.NAME`, an opaque
//! directory gets an entry `.wh..wh..opq`. Names are sorted, so the same changes make the same tar, but for times.
//! The container may be running and its files are hostile: everything is opened beneath the upper directory and no
//! link is followed. Sockets are left out, as everywhere.

mod walk;

use crate::error::{Error, OnFile, Result};
use crate::layers::is_whiteout;
use crate::snapshots::Snapshot;
use crate::tar::write::Writer;
use crate::tar::{Entry, Kind, Metadata, Time};
use crate::{Store, xattrs};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use walk::{Found, Walk};

/// How a path differs from the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is there in the image, too.
    Modified,
    /// It is new.
    Added,
    /// It is in the image only.
    Deleted,
}

impl Store {
    /// The paths that differ between a container and its image, absolute and sorted.
    ///
    /// # Errors
    /// Fails if there is no such snapshot or it cannot be read.
    pub fn changes(&self, key: &str) -> Result<Vec<(PathBuf, Change)>> {
        let snapshot = self.snapshots().open(key)?;
        let below = crate::layers::Below::new(snapshot.lower.clone());
        let mut changes = Vec::new();
        let mut walk = Walk::open(&snapshot.upper)?;
        while let Some(found) = walk.next()? {
            let is_below = below.contains(&found.path).on("look up", &snapshot.upper)?;
            let change = match (is_whiteout(&found.stat), is_below) {
                // A mark that hides nothing.
                (true, false) => continue,
                (true, true) => Change::Deleted,
                (false, true) => Change::Modified,
                (false, false) => Change::Added,
            };
            changes.push((PathBuf::from(OsStr::from_bytes(&[b"/", &found.path[..]].concat())), change));
        }
        Ok(changes)
    }

    /// Writes what a container has changed as the tar of a layer.
    ///
    /// # Errors
    /// Fails if there is no such snapshot, it cannot be read, or the writer fails.
    pub fn diff(&self, key: &str, writer: impl Write) -> Result<()> {
        let snapshot = self.snapshots().open(key)?;
        let mut packer = Packer { archive: Writer::new(writer), links: HashMap::new() };
        packer.root(&snapshot)?;
        let mut walk = Walk::open(&snapshot.upper)?;
        while let Some(found) = walk.next()? {
            packer.entry(&walk, &found)?;
        }
        packer.archive.finish().map_err(|source| Error::WriteArchive { source })?;
        Ok(())
    }
}

struct Packer<W: Write> {
    archive: Writer<W>,
    /// The first name of each file that has several.
    links: HashMap<(u64, u64), Vec<u8>>,
}

impl<W: Write> Packer<W> {
    fn root(&mut self, snapshot: &Snapshot) -> Result<()> {
        let directory = File::open(&snapshot.upper).on("open", &snapshot.upper)?;
        let stat = rustix::fs::fstat(&directory).on("inspect", &snapshot.upper)?;
        let attributes = xattrs::read(&directory).on("read attributes of", &snapshot.upper)?;
        self.append(entry(b"./".to_vec(), Kind::Directory, &stat, attributes), io::empty())
    }

    fn entry(&mut self, walk: &Walk, found: &Found) -> Result<()> {
        let kind = match FileType::from_raw_mode(found.stat.st_mode) {
            FileType::Directory => return self.directory(walk, found),
            FileType::RegularFile => Kind::File,
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice if is_whiteout(&found.stat) => return self.mark(&found.path),
            FileType::CharacterDevice => Kind::Char,
            FileType::BlockDevice => Kind::Block,
            FileType::Fifo => Kind::Fifo,
            _ => return Ok(()),
        };
        if found.stat.st_nlink > 1 {
            let file = (found.stat.st_dev, found.stat.st_ino);
            if let Some(first) = self.links.get(&file) {
                let mut link = entry(found.path.clone(), Kind::HardLink, &found.stat, Vec::new());
                link.link.clone_from(first);
                return self.append(link, io::empty());
            }
            self.links.insert(file, found.path.clone());
        }
        let mut described = entry(found.path.clone(), kind, &found.stat, Vec::new());
        match kind {
            Kind::File => return self.file(walk, found, described),
            Kind::Symlink => described.link = walk.read_link(found)?,
            Kind::Char | Kind::Block => {
                let device = found.stat.st_rdev;
                described.device = (rustix::fs::major(device), rustix::fs::minor(device));
            }
            _ => {}
        }
        self.append(described, io::empty())
    }

    fn file(&mut self, walk: &Walk, found: &Found, mut described: Entry) -> Result<()> {
        let file = walk.open_child(found, OFlags::RDONLY | OFlags::NONBLOCK)?;
        // What was opened counts, not what was there a moment ago.
        let stat = rustix::fs::fstat(&file).on("inspect", found.path_buf())?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        refuse(&file, "trusted.overlay.metacopy", found)?;
        described.size = u64::try_from(stat.st_size).unwrap_or_default();
        described.metadata.xattrs = xattrs::read(&file).on("read attributes of", found.path_buf())?;
        self.append(described, file)
    }

    fn directory(&mut self, walk: &Walk, found: &Found) -> Result<()> {
        let directory = walk.open_child(found, OFlags::RDONLY | OFlags::DIRECTORY)?;
        refuse(&directory, "trusted.overlay.redirect", found)?;
        let attributes = xattrs::read(&directory).on("read attributes of", found.path_buf())?;
        let name = [&found.path[..], b"/"].concat();
        self.append(entry(name.clone(), Kind::Directory, &found.stat, attributes), io::empty())?;
        if crate::layers::is_opaque(&directory) {
            let mark = [&name[..], b".wh..wh..opq"].concat();
            self.append(entry(mark, Kind::File, &found.stat, Vec::new()), io::empty())?;
        }
        Ok(())
    }

    /// A whiteout.
    fn mark(&mut self, path: &[u8]) -> Result<()> {
        let slash = path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
        let name = [&path[..slash], b".wh.", &path[slash..]].concat();
        let empty = Metadata { mode: Mode::RUSR.as_raw_mode(), ..Metadata::default() };
        let mark = Entry {
            name,
            kind: Kind::File,
            metadata: empty,
            link: Vec::new(),
            device: (0, 0),
            size: 0,
            sparse: None,
        };
        self.append(mark, io::empty())
    }

    fn append(&mut self, entry: Entry, content: impl Read) -> Result<()> {
        self.archive.append(&entry, content).map_err(|source| Error::WriteArchive { source })
    }
}

/// Some hosts have overlay note that a directory was renamed, or that only a file's mode was changed, and leave the
/// content where it was. A layer can't say that.
fn refuse(file: &File, mark: &str, found: &Found) -> Result<()> {
    if rustix::fs::fgetxattr(file, mark, &mut [0u8; 0][..]).is_err() {
        return Ok(());
    }
    let reason = format!("it has {mark}: load the overlay module with redirect_dir=off metacopy=off");
    Err(Error::LayerEntry { name: String::from_utf8_lossy(&found.path).into_owned(), reason })
}

fn entry(name: Vec<u8>, kind: Kind, stat: &Stat, xattrs: Vec<(Vec<u8>, Vec<u8>)>) -> Entry {
    let mtime =
        Time { seconds: stat.st_mtime, nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or_default() };
    let metadata =
        Metadata { mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid, mtime, xattrs };
    Entry { name, kind, metadata, link: Vec::new(), device: (0, 0), size: 0, sparse: None }
}
