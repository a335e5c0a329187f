//! A tar stream becomes a directory in overlay's format.
//!
//! ```text
//! .wh.NAME         character device 0:0 called NAME
//! .wh..wh..opq     attribute trusted.overlay.opaque=y on its directory
//! other .wh..wh.*  left out (aufs's own)
//! ```
//!
//! A layer is hostile: see `root.rs` for how it is kept inside. Of two entries with one name the later wins; a
//! whiteout does not remove what the same layer has put there.

use super::deferred::{Deferred, Directories};
use super::metadata::{self, Unopened};
use super::root::{Place, Root, clean, extract, is_whiteout, make_opaque, split};
use super::settle::Unsettled;
use crate::error::{Error, Result};
use crate::tar::read::{Entries, pieces};
use crate::tar::{Entry, Kind};
use crate::writeback::Writeback;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, BufRead};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE_MARK: &[u8] = b".wh..wh..opq";
const AUFS: &[u8] = b".wh..wh.";

/// A layer being extracted.
pub(super) struct Extraction {
    root: Root,
    deferred: Deferred,
    /// Whether new files belong to 0:0 by themselves.
    owned_by_us: bool,
    /// The bytes of all regular files so far.
    size: u64,
}

/// A layer whose entries have all been extracted.
pub(super) struct Extracted {
    pub(super) root: Root,
    pub(super) directories: Directories,
    pub(super) unsettled: Unsettled,
    pub(super) size: u64,
}

impl Extraction {
    /// Begins to extract to `directory`, which is empty; `staging` is for files without a name.
    pub(super) fn new(directory: &Path, staging: &Path) -> Result<Self> {
        let root = Root::open(directory).map_err(|e| extract(b"", e))?;
        let mut deferred = Deferred::new(staging)?;
        deferred.implicit(b"")?;
        let owned_by_us = rustix::process::geteuid().is_root() && rustix::process::getegid().is_root();
        Ok(Self { root, deferred, owned_by_us, size: 0 })
    }

    /// Extracts all entries and reads the stream to its end.
    pub(super) fn run(mut self, stream: impl BufRead) -> Result<Extracted> {
        let mut entries = Entries::new(stream);
        while let Some(entry) = entries.next()? {
            self.entry(&entry, &mut entries)?;
        }
        entries.drain()?;
        let (directories, unsettled) = self.deferred.finish()?;
        Ok(Extracted { root: self.root, directories, unsettled, size: self.size })
    }

    fn entry(&mut self, entry: &Entry, entries: &mut Entries<impl BufRead>) -> Result<()> {
        let path =
            clean(&entry.name).ok_or_else(|| refused(&entry.name, "the name leads out of the layer"))?;
        if path.is_empty() {
            if entry.kind != Kind::Directory {
                return Err(refused(&entry.name, "the layer's root must be a directory"));
            }
            return self.deferred.directory(&path, &entry.metadata);
        }
        let (parent, name) = split(&path);
        if name == OPAQUE_MARK {
            return self.opaque(parent);
        }
        if name.starts_with(AUFS) {
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            let hidden = if parent.is_empty() { hidden.to_owned() } else { [parent, hidden].join(&b'/') };
            return self.whiteout(&hidden, &entry.name);
        }
        match entry.kind {
            Kind::Directory => self.directory(&path, entry),
            Kind::File => self.file(&path, entry, entries),
            Kind::HardLink => self.hard_link(&path, entry),
            Kind::Symlink => self.symlink(&path, entry),
            Kind::Char | Kind::Block | Kind::Fifo => self.special(&path, entry),
        }
    }

    fn place<'a>(&mut self, path: &'a [u8]) -> Result<Place<'a>> {
        let deferred = &mut self.deferred;
        self.root.place(path, &mut |made| deferred.implicit(made))
    }

    /// Calls `make`, after removing what has the name if it is taken.
    fn make<T>(
        &mut self,
        path: &[u8],
        make: impl Fn(&Place<'_>) -> rustix::io::Result<T>,
    ) -> Result<(T, bool)> {
        let place = self.place(path)?;
        match make(&place) {
            Ok(made) => Ok((made, false)),
            Err(Errno::EXIST) => {
                self.root.clear(&place)?;
                let place = self.place(path)?;
                Ok((make(&place).map_err(|e| extract(path, e.into()))?, true))
            }
            Err(e) => Err(extract(path, e.into())),
        }
    }

    fn directory(&mut self, path: &[u8], entry: &Entry) -> Result<()> {
        let place = self.place(path)?;
        match rustix::fs::mkdirat(&*place.parent, place.name, Mode::from_raw_mode(0o700)) {
            Err(Errno::EXIST) => self.directory_over(path, &place)?,
            other => other.map_err(|e| extract(path, e.into()))?,
        }
        self.deferred.directory(path, &entry.metadata)
    }

    /// A directory where something is already.
    fn directory_over(&mut self, path: &[u8], place: &Place<'_>) -> Result<()> {
        let stat = place.stat().map_err(|e| extract(path, e))?;
        if is_whiteout(&stat) {
            return place.replace_whiteout_by_directory().map_err(|e| extract(path, e));
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Ok(());
        }
        self.root.clear(place)?;
        let place = self.place(path)?;
        rustix::fs::mkdirat(&*place.parent, place.name, Mode::from_raw_mode(0o700))
            .map_err(|e| extract(path, e.into()))
    }

    fn file(&mut self, path: &[u8], entry: &Entry, entries: &mut Entries<impl BufRead>) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (fd, _) = self.make(path, |place| {
            rustix::fs::openat(&*place.parent, place.name, flags, Mode::from_raw_mode(0o600))
        })?;
        let file = File::from(fd);
        write_content(path, &file, entry, entries)?;
        self.size = self.size.saturating_add(entry.size);
        metadata::apply(&file, &entry.metadata, self.owned_by_us).map_err(|e| extract(path, e))
    }

    fn hard_link(&mut self, path: &[u8], entry: &Entry) -> Result<()> {
        let target = clean(&entry.link).filter(|target| !target.is_empty());
        let target = target.ok_or_else(|| refused(&entry.name, "the link leads out of the layer"))?;
        if target == path {
            return Ok(());
        }
        let from = match self.root.find(&target) {
            Ok(from) => Some(from),
            Err(e) if super::deferred::is_replaced(&e) => None,
            Err(e) => return Err(extract(path, e)),
        };
        // The target may lie in a layer below, or be a link of that kind itself.
        let from = from.filter(|from| from.stat().is_ok_and(|stat| !is_whiteout(&stat)));
        let Some(from) = from else {
            let place = self.place(path)?;
            if place.stat().is_ok() {
                self.root.clear(&place)?;
            }
            return self.deferred.link(path, &target);
        };
        self.make(path, |place| {
            rustix::fs::linkat(&*from.parent, from.name, &*place.parent, place.name, AtFlags::empty())
        })?;
        Ok(())
    }

    fn symlink(&mut self, path: &[u8], entry: &Entry) -> Result<()> {
        self.make(path, |place| rustix::fs::symlinkat(&*entry.link, &*place.parent, place.name))?;
        self.unopened(path, entry, Unopened::Symlink)
    }

    fn special(&mut self, path: &[u8], entry: &Entry) -> Result<()> {
        let (kind, device) = match entry.kind {
            Kind::Char => (FileType::CharacterDevice, entry.device),
            Kind::Block => (FileType::BlockDevice, entry.device),
            _ => (FileType::Fifo, (0, 0)),
        };
        let device = rustix::fs::makedev(device.0, device.1);
        self.make(path, |place| {
            rustix::fs::mknodat(&*place.parent, place.name, kind, Mode::from_raw_mode(0o600), device)
        })?;
        self.unopened(path, entry, Unopened::Special)
    }

    fn unopened(&mut self, path: &[u8], entry: &Entry, what: Unopened) -> Result<()> {
        let place = self.place(path)?;
        metadata::apply_at(place.parent.as_fd(), place.name, &entry.metadata, what)
            .map_err(|e| extract(path, e))
    }

    fn whiteout(&mut self, path: &[u8], name: &[u8]) -> Result<()> {
        if matches!(split(path).1, b"" | b"." | b"..") {
            return Err(refused(name, "a whiteout of nothing"));
        }
        let place = self.place(path)?;
        let mode = Mode::from_raw_mode(0o600);
        match rustix::fs::mknodat(&*place.parent, place.name, FileType::CharacterDevice, mode, 0) {
            Err(Errno::EXIST) => {}
            other => return other.map_err(|e| extract(path, e.into())),
        }
        let stat = place.stat().map_err(|e| extract(path, e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Ok(());
        }
        // This layer's directory stays, but what it would be merged with is gone.
        place.open_directory().and_then(|directory| make_opaque(&directory)).map_err(|e| extract(path, e))
    }

    fn opaque(&mut self, parent: &[u8]) -> Result<()> {
        // Asked for something in it, the directory itself is made if it is missing.
        let inside =
            if parent.is_empty() { OPAQUE_MARK.to_owned() } else { [parent, OPAQUE_MARK].join(&b'/') };
        let place = self.place(&inside)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(&*place.parent, ".", flags, Mode::empty());
        let directory = File::from(directory.map_err(|e| extract(parent, e.into()))?);
        make_opaque(&directory).map_err(|e| extract(parent, e))
    }
}

fn write_content(path: &[u8], file: &File, entry: &Entry, entries: &mut Entries<impl BufRead>) -> Result<()> {
    let mut segments = pieces(entry).into_iter();
    let mut segment = segments.next();
    let mut writeback = Writeback::default();
    let mut end = 0;
    entries.read_content(|mut piece| {
        while let Some(current) = &mut segment {
            let length = piece.len().min(usize::try_from(current.length).unwrap_or(usize::MAX));
            file.write_all_at(&piece[..length], current.offset).map_err(|e| extract(path, e))?;
            piece = &piece[length..];
            current.offset += length as u64;
            current.length -= length as u64;
            end = current.offset;
            if current.length == 0 {
                segment = segments.next();
            }
            if piece.is_empty() {
                break;
            }
        }
        writeback.reached(file, end);
        Ok(())
    })?;
    if end != entry.size {
        file.set_len(entry.size).map_err(|e| extract(path, e))?;
    }
    Ok(())
}

fn refused(name: &[u8], reason: &str) -> Error {
    Error::LayerEntry { name: String::from_utf8_lossy(name).into_owned(), reason: reason.to_owned() }
}

/// A directory for new layers must be root's whatever its parent's setgid bit says.
pub(super) fn create_root(path: &Path) -> io::Result<()> {
    std::fs::create_dir(path)?;
    let directory = File::open(path)?;
    rustix::fs::fchown(&directory, Some(rustix::process::geteuid()), Some(rustix::process::getegid()))?;
    Ok(rustix::fs::fchmod(&directory, Mode::from_raw_mode(0o700))?)
}
